"""HTTP models of the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class EntryView(BaseModel):
    """One thing that was done, or refused."""

    sequence: int = Field(description="From 1 on, without gaps.")
    at: datetime
    actor_kind: str = Field(examples=["user"])
    actor_id: str
    actor_name: str = Field(examples=["admin"])
    action: str = Field(examples=["created"])
    outcome: str = Field(examples=["done"])
    resource: str = Field(examples=["keys"])
    resource_id: str
    before: dict[str, Any] | None = Field(description="What changed as it was, without secrets.")
    after: dict[str, Any] | None = Field(description="What changed as it is, without secrets.")
    address: str = Field(description="Where the request came from.", examples=["192.0.2.1"])
    request_id: str
    hash: str = Field(description="SHA-256 of the entry and of the hash before it, in hexadecimal.")


class EntryList(BaseModel):
    """Entries, newest first."""

    data: list[EntryView]
    next_before: int | None = Field(description="Ask with `before` of this for the next page; null on the last one.")


class ProofView(BaseModel):
    """Whether the chain holds from its first entry to its last."""

    is_whole: bool
    entries: int
    broken_at: int | None = Field(description="Number of the first entry that is not as it was written.")
