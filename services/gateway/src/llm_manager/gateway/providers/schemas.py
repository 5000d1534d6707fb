"""HTTP models of providers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from llm_manager.gateway.catalogue.environment import Origin
from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.providers.connections import Result
from llm_manager.gateway.resources.schemas import Body, Description, Name, View
from llm_manager.kit.secrets import Secret

ProviderName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/]+$", examples=["openai-eu"])]
BaseUrl = Annotated[str, Field(max_length=2_000, examples=["https://llm.example.com/v1"])]
ApiKey = Annotated[Secret, Field(description="Sealed at once and never shown again.", examples=["sk-example"])]
Headers = Annotated[
    dict[str, str | None],
    Field(max_length=50, description="Sent with every request, sealed like keys; null takes one away."),
]
PathsBody = Annotated[
    dict[str, Annotated[str, Field(max_length=500)]],
    Field(description="Below the base URL, where they differ from the kind's: chat, embeddings, models, rerank …"),
]
Limit = Literal["connect", "headers", "first_token", "idle", "total"]
Timeouts = Annotated[
    dict[Limit, Annotated[float, Field(ge=0.1, le=3_600, strict=False)]],
    Field(description="Seconds, where they differ from the kind's.", examples=[{"connect": 5, "total": 300}]),
]


class PlainProviderBody(Body):
    """A new provider, as far as it holds no secrets."""

    name: ProviderName
    kind: Annotated[str, Field(max_length=50, examples=["openai"], description="Which API it speaks.")]
    description: Description = ""
    base_url: BaseUrl = Field(default="", description="Empty for the kind's own.")
    paths: PathsBody = Field(default_factory=dict)
    timeouts: Timeouts = Field(default_factory=dict)
    is_enabled: bool = True


class ProviderBody(PlainProviderBody):
    """A new provider."""

    api_key: ApiKey | None = None
    headers: Headers = Field(default_factory=dict)


class ProviderChange(Body):
    """What should be another: a field that is absent stays as it is; null puts back what the kind has."""

    name: ProviderName | Absent = None
    description: Description | None = None
    base_url: BaseUrl | None = Field(default=None, description="Of another host only together with `api_key`.")
    api_key: ApiKey | None = Field(default=None, description="Replaces all keys; null takes them away.")
    headers: Headers | None = Field(default=None, description="Merged by name; null takes all away.")
    paths: PathsBody | None = None
    timeouts: Timeouts | None = None
    is_enabled: bool | Absent = None


class ProviderKeyBody(Body):
    """A further key of a provider; attempts use its keys in turn."""

    name: Name = Field(examples=["second"])
    api_key: ApiKey


class ProviderKeyChange(Body):
    """Whether a key is used."""

    is_enabled: bool


class ProviderKeyView(BaseModel):
    """A key of a provider."""

    name: str
    fingerprint: str = Field(description="What may be shown of it.", examples=["…f3Qa"])
    is_enabled: bool


class ConnectionView(BaseModel):
    """What a test of a connection showed."""

    result: Result = Field(description="works; refused: the credentials; failed: another status; unreachable.")
    message: str
    method: str
    url: str
    status: int | None = Field(description="Of the HTTP answer; null where none came.")
    headers_ms: int | None
    total_ms: int
    bytes: int | None
    content_type: str | None
    preview: str | None = Field(description="The beginning of the answer, without secrets.")
    models: int | None = Field(description="How many it lists.")


class OfferedModel(BaseModel):
    """A model that a provider offers."""

    id: str = Field(description="As the provider calls it: `upstream_model` of a configuration.")
    owned_by: str
    created: int = Field(description="Unix seconds; 0 where the provider does not say.")


class OfferedModels(BaseModel):
    """What a provider offers."""

    data: list[OfferedModel]


class ProviderView(View):
    """A provider without its secrets."""

    kind: str
    description: str
    base_url: str = Field(description="Where it is reached; empty when it answers from this machine.")
    api_keys: list[ProviderKeyView]
    headers: dict[str, str] = Field(description="What is called like a secret is hidden.")
    paths: dict[str, str]
    timeouts: dict[str, float]
    archived_at: datetime | None
    origin: Origin = Field(description="environment: a variable gives it now; kept: one gave it at an earlier start.")
    variables: list[str] = Field(description="Variables that are set now.", examples=[["OPENAI_API_KEY"]])
    kept_variables: list[str] = Field(description="Variables whose value of an earlier start is used.")
    models: int = Field(description="How many configurations that are on lead to it.")
