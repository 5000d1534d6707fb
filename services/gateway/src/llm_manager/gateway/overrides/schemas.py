"""HTTP models of parameter overrides."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.parameters.rules import Strategy
from llm_manager.gateway.resources.schemas import Body, Description, ModelName, Name, View

# Any: JSON of any shape
Parameters = Annotated[
    dict[str, Any],
    Field(max_length=100, description="Parameters of OpenAI's chat.", examples=[{"temperature": 0.2}]),
]
Context = Annotated[str, Field(max_length=200, description="Only calls with this `x-llm-manager-context`.")]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Higher ones are merged later.")]
# not strict, because JSON has texts where Python has members
How = Annotated[Strategy, Field(strict=False, description="What becomes of the parameters before.")]


class OverrideBody(Body):
    """A new override."""

    name: Name = Field(examples=["careful"])
    app: Name = Field(description="Id or name of the app whose calls get it.")
    configuration: ModelName | None = Field(default=None, description="Only calls of this one; null for all.")
    context: Context = ""
    parameters: Parameters
    strategy: How = Strategy.MERGE
    priority: Priority = 0
    description: Description = ""
    is_enabled: bool = True


class OverrideChange(Body):
    """What should be another: a field that is absent stays as it is; null takes away what may be missing."""

    name: Name | Absent = None
    configuration: ModelName | None = None
    context: Context | None = None
    parameters: Parameters | Absent = None
    strategy: How | Absent = None
    priority: Priority | Absent = None
    description: Description | None = None
    is_enabled: bool | Absent = None


class OverrideView(View):
    """An override."""

    app: str
    configuration: str | None
    context: str
    parameters: dict[str, Any]
    strategy: Strategy
    priority: int
    description: str

    @field_validator("app", "configuration", mode="before")
    @classmethod
    def _named(cls, row: object) -> object:
        return getattr(row, "name", row)
