"""What the admin API says of secrets."""

from __future__ import annotations

from pydantic import BaseModel, Field


class MasterKeyView(BaseModel):
    """A master key; itself it is never shown."""

    id: str = Field(description="Derived from the key, in hex.", examples=["5f1d2c3b4a596877"])
    is_active: bool = Field(description="It seals; the others only open.")
    is_known: bool = Field(description="It was given to this gateway. What is under one that was not cannot be opened.")
    envelopes: int = Field(description="How many secrets are sealed under it.", ge=0)


class MasterKeyList(BaseModel):
    """The master keys in use, the active one first."""

    data: list[MasterKeyView]


class RotatedView(MasterKeyList):
    """What was sealed anew."""

    resealed: int = Field(description="How many secrets this request has sealed anew.", ge=0)
    is_done: bool = Field(description="Nothing is left to look at; otherwise send the request again.")
    unreadable: list[str] = Field(description="Where secrets are that no master key opens: table and id, at most 20.")
