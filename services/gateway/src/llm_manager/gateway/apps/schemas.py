"""HTTP models of apps."""

from __future__ import annotations

from pydantic import Field

from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.resources.schemas import Body, Description, ModelPatterns, Name, View


class AppBody(Body):
    """A new app."""

    name: Name = Field(examples=["shop"])
    description: Description = ""
    is_enabled: bool = True
    allowed_models: ModelPatterns | None = Field(default=None, description="Names that it may ask for; null for all.")


class AppChange(Body):
    """What should be another: a field that is absent stays as it is."""

    name: Name | Absent = None
    description: Description | None = Field(default=None, description="null takes it away.")
    is_enabled: bool | Absent = Field(default=None, description="Keys of an app that is off are refused.")
    allowed_models: ModelPatterns | None = Field(default=None, description="null allows all models.")


class AppView(View):
    """An app."""

    description: str
    allowed_models: list[str] | None
