"""HTTP models of users and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from llm_manager.gateway.access.rules import Role
from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.resources.schemas import Body, View
from llm_manager.gateway.users.passwords import LONGEST, SHORTEST
from llm_manager.gateway.users.store import LONGEST_NAME

# HTTP Basic ends a name at its first colon (RFC 7617).
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f:]+$")]
Title = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Language = Annotated[str, Field(max_length=10, pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$")]
Password = Annotated[
    str,
    Field(
        min_length=SHORTEST,
        max_length=LONGEST,
        examples=["a sentence that nobody guesses"],
        json_schema_extra={"format": "password", "writeOnly": True},
    ),
]
# JSON has no enumerations, so what is a text is read as a role
Roles = Annotated[list[Annotated[Role, Field(strict=False)]], Field(max_length=len(Role))]


class UserBody(Body):
    """A new user."""

    name: Name = Field(examples=["ann"])
    title: Title = Field(default="", description="What people call the user.", examples=["Ann Example"])
    roles: Roles = Field(default_factory=list, description="No role: nothing is allowed.")
    language: Language = Field(default="", description="Of the admin UI, as BCP 47; empty: the browser's.")
    password: Password
    is_enabled: bool = True


class UserChange(Body):
    """What should be another: a field that is absent stays as it is."""

    name: Name | Absent = None
    title: Title | None = Field(default=None, description="null takes it away.")
    roles: Roles | None = Field(default=None, description="All that the user shall have; null takes them away.")
    language: Language | None = Field(default=None, description="null takes it away.")
    password: Password | Absent = Field(default=None, description="A new one ends all sessions of the user.")
    is_enabled: bool | Absent = Field(default=None, description="A user who is off is logged out at once.")


class UserView(View):
    """A user; the password is never shown."""

    title: str
    roles: list[str]
    language: str


class SessionView(BaseModel):
    """A browser in which a user is logged in."""

    id: str = Field(description="Tells sessions apart; opens nothing.")
    address: str = Field(examples=["192.0.2.1"])
    agent: str = Field(description="What the browser called itself.")
    created_at: datetime
    seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime = Field(description="If it is not used any more.")


class SessionList(BaseModel):
    """The sessions of a user, the one used last first."""

    data: list[SessionView]


class LogIn(Body):
    """Who wants to come in. No rules for the password here: an older one may break them."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, examples=["ann"])
    password: str = Field(min_length=1, max_length=1_000, json_schema_extra={"format": "password"})


class PasswordChange(Body):
    """Another password for oneself. No rules for the current one; see `LogIn`."""

    current_password: str = Field(min_length=1, max_length=1_000, json_schema_extra={"format": "password"})
    new_password: Password


class WhoView(BaseModel):
    """Who is logged in, and what that lets one do."""

    user: UserView
    permissions: list[str] = Field(examples=[["llm-manager:base:view"]])
    csrf_token: str | None = Field(
        description="A page sends it as x-csrf-token with whatever changes something; null without a session."
    )
    expires_at: datetime | None = Field(description="If the session is not used any more; null without one.")
