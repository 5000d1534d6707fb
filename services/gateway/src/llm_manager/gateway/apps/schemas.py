"""HTTP models of apps."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from llm_manager.gateway.resources.schemas import Body, Description, Name


class AppBody(Body):
    """A new app."""

    name: Name = Field(examples=["shop"])
    description: Description = ""
    is_enabled: bool = True


class AppChange(Body):
    """What should be another: a field that is absent stays as it is."""

    name: Name | None = None
    description: Description | None = Field(default=None, description="null takes it away.")
    is_enabled: bool | None = Field(default=None, description="Keys of an app that is off are refused.")


class AppView(BaseModel):
    """An app."""

    id: str
    name: str
    description: str
    is_enabled: bool
    managed_by: str = Field(description="admin: a person; environment: variables, at every start.")
    revision: int
    created_at: datetime
    updated_at: datetime
