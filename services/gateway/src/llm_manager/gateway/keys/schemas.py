"""HTTP models of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, computed_field

from llm_manager.core.ids import API_KEY_PREFIX
from llm_manager.gateway.http.fields import Absent, Moment
from llm_manager.gateway.keys.networks import normalised
from llm_manager.gateway.keys.rules import INFERENCE, SCOPES
from llm_manager.gateway.resources.schemas import Body, ModelPatterns, Name, View

MOST_OVERLAP_SECONDS = 2_592_000


def _known(scopes: list[str]) -> list[str]:
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"there is no scope {scope[:60]!r}; there are {', '.join(SCOPES)}")
    return list(dict.fromkeys(scopes))


Scopes = Annotated[
    list[Annotated[str, Field(max_length=100)]],
    Field(min_length=1, max_length=100, examples=[[INFERENCE]]),
    AfterValidator(_known),
]
Expiry = Annotated[Moment, Field(examples=["2027-01-31T00:00:00Z"])]
Addresses = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]],
    Field(min_length=1, max_length=100, examples=[["10.0.0.0/8", "2001:db8::/32"]]),
    AfterValidator(normalised),
]
_SCOPES = "What it may do: `inference` (call models), or permissions of the admin API by their names."
_EXPIRES = "From then on it is refused; null for never."
_ADDRESSES = "IP addresses and networks (CIDR) that it may come from, by the connection's own address; null for any."
_MODELS = "Names that it may ask for, among those of its app; null for all of them."


class KeyBody(Body):
    """What a new key is called, to which app it belongs, and what it may do."""

    name: Name = Field(examples=["laptop"])
    app: Annotated[str, Field(min_length=1, max_length=200, examples=["default"])] = "default"
    scopes: Scopes = Field(default=[INFERENCE], description=_SCOPES)
    expires_at: Expiry | None = Field(default=None, description=_EXPIRES)
    allowed_addresses: Addresses | None = Field(default=None, description=_ADDRESSES)
    allowed_models: ModelPatterns | None = Field(default=None, description=_MODELS)


class KeyChange(Body):
    """What should be another: a field that is absent stays as it is."""

    name: Name | Absent = None
    scopes: Scopes | Absent = Field(default=None, description=_SCOPES)
    expires_at: Expiry | None = Field(default=None, description=_EXPIRES)
    allowed_addresses: Addresses | None = Field(default=None, description=_ADDRESSES)
    allowed_models: ModelPatterns | None = Field(default=None, description=_MODELS)


class RotationBody(Body):
    """How long the old key opens the door beside the new one."""

    overlap_seconds: Annotated[int, Field(ge=0, le=MOST_OVERLAP_SECONDS, description="0 revokes it at once.")] = 86_400


# a row has the app itself
AppName = Annotated[str, BeforeValidator(lambda app: getattr(app, "name", app))]


class KeyView(View):
    """A key without its secret."""

    id: str = Field(examples=["k3v9x2m1q8za"])
    app: AppName
    scopes: list[str]
    expires_at: datetime | None
    allowed_addresses: list[str] | None
    allowed_models: list[str] | None
    replaced_by: str | None = Field(description="Id of the key that it was rotated to.")
    revoked_at: datetime | None

    @computed_field(
        description="How its token begins: all that is ever shown of it.", examples=["lm_live_k3v9x2m1q8za"]
    )
    @property
    def prefix(self) -> str:
        return API_KEY_PREFIX + self.id


class NewKeyView(KeyView):
    """A key just made; `api_key` is shown this once."""

    api_key: str = Field(examples=["lm_live_…"])
