"""What the HTTP models of all resources have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Description = Annotated[str, Field(max_length=2_000)]
# As clients write it in `model`.
ModelName = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]+$")]
ModelPatterns = Annotated[
    list[ModelName],
    Field(max_length=500, description="Names of models as clients write them; `*` at an end stands for the rest."),
]


class Body(BaseModel):
    """What a client sends: fields that nobody knows are refused by name, and nothing is guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # Any: values of any field
    def said(self) -> dict[str, Any]:
        """Return the fields that were sent, as they are: a secret stays one."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class View(BaseModel):
    """What every resource shows; made of its row."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    is_enabled: bool
    managed_by: str = Field(description="admin: a person; environment: variables, at every start.")
    revision: int = Field(description="Grows with every change; the ETag of this address.")
    created_at: datetime
    updated_at: datetime


Shown = TypeVar("Shown", bound=BaseModel)


class ListOf(BaseModel, Generic[Shown]):
    """One page of a list."""

    data: list[Shown]
    next_cursor: str | None = Field(description="Ask with `cursor` of this for the next page; null on the last one.")
