"""HTTP models of aliases."""

from __future__ import annotations

from pydantic import AliasPath, Field

from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.resources.schemas import Body, Description, ModelName, View


class AliasBody(Body):
    """A new alias."""

    name: ModelName = Field(description="What clients write in `model`.", examples=["best"])
    configuration: ModelName = Field(description="Id or name of the configuration that it stands for.")
    description: Description = ""
    is_enabled: bool = True


class AliasChange(Body):
    """What should be another: a field that is absent stays as it is."""

    name: ModelName | Absent = None
    configuration: ModelName | Absent = None
    description: Description | None = Field(default=None, description="null takes it away.")
    is_enabled: bool | Absent = None


class AliasView(View):
    """An alias."""

    configuration: str = Field(validation_alias=AliasPath("configuration", "name"))
    description: str
