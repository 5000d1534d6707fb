"""What the HTTP models of all resources have in common."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

View = TypeVar("View", bound=BaseModel)
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Description = Annotated[str, Field(max_length=2_000)]


class Body(BaseModel):
    """What a client sends: fields that nobody knows are refused by name, and nothing is guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ListOf(BaseModel, Generic[View]):
    """One page of a list."""

    data: list[View]
    next_cursor: str | None = Field(description="Ask with `cursor` of this for the next page; null on the last one.")
