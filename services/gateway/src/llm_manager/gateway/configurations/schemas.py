"""HTTP models of configurations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasPath, Field, field_validator

from llm_manager.core.families import Capability
from llm_manager.gateway.http.fields import Absent
from llm_manager.gateway.resources.schemas import Body, Description, ModelName, Name, View

_MOST = 2**53
Count = Annotated[int, Field(ge=1, le=_MOST)]
Title = Annotated[str, Field(max_length=200, description="For people; the name is made of it where there is none.")]
UpstreamModel = Annotated[str, Field(max_length=512, examples=["gpt-5-mini"], description="As the provider calls it.")]
Tags = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[str, Field(max_length=200)]],
    Field(max_length=50, description="Go into the ledger with every request.", examples=[{"team": "search"}]),
]
UseCases = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]],
    Field(max_length=50, description="What it is meant for, for people who choose.", examples=[["summaries"]]),
]
# Any: JSON of any shape, which the merge and the provider's facts know
Parameters = Annotated[
    dict[str, Any],
    Field(max_length=100, description="Parameters of OpenAI's chat that calls get unless they say otherwise."),
]
Capabilities = Annotated[list[Capability], Field(description="What the model can do; null for what its provider says.")]
Owner = Annotated[str, Field(max_length=200, description="Id or name of the one app that may use it; null for all.")]


class ConfigurationBody(Body):
    """A new configuration. It is off until it has a model."""

    name: ModelName | Absent = Field(default=None, description="What clients write in `model`.", examples=["fast"])
    title: Title = ""
    description: Description = ""
    provider: Name = Field(description="Id or name of the provider.", examples=["openai"])
    upstream_model: UpstreamModel = ""
    app: Owner | None = None
    is_enabled: bool | Absent = Field(default=None, description="On by default where there is a model.")
    is_default: bool = Field(default=False, description="Stands for the model `default`, of its app or of all.")
    default_parameters: Parameters = Field(default_factory=dict)
    adapts_parameters: bool = Field(default=False, description="Leave out what the provider does not take.")
    capabilities: Capabilities | None = None
    context_window: Count | None = Field(default=None, description="Tokens of prompt and answer together.")
    max_output_tokens: Count | None = Field(default=None, description="Tokens of one answer.")
    requests_per_minute: Count | None = Field(default=None, description="What the provider allows.")
    tokens_per_minute: Count | None = Field(default=None, description="What the provider allows.")
    use_cases: UseCases = Field(default_factory=list)
    tags: Tags = Field(default_factory=dict)


class ConfigurationChange(Body):
    """What should be another: a field that is absent stays as it is; null takes away what may be missing."""

    name: ModelName | Absent = None
    title: Title | None = None
    description: Description | None = None
    provider: Name | Absent = None
    upstream_model: UpstreamModel | Absent = None
    app: Owner | None = None
    is_enabled: bool | Absent = None
    is_default: bool | Absent = None
    default_parameters: Parameters | None = None
    adapts_parameters: bool | Absent = None
    capabilities: Capabilities | None = None
    context_window: Count | None = None
    max_output_tokens: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    use_cases: UseCases | None = None
    tags: Tags | None = None


class ConfigurationView(View):
    """A configuration."""

    title: str
    description: str
    provider: str = Field(validation_alias=AliasPath("provider", "name"))
    upstream_model: str
    app: str | None
    is_default: bool
    default_parameters: dict[str, Any]
    adapts_parameters: bool
    capabilities: list[Capability] | None
    context_window: int | None
    max_output_tokens: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    use_cases: list[str]
    tags: dict[str, str]

    @field_validator("app", mode="before")
    @classmethod
    def _named(cls, app: object) -> object:
        return getattr(app, "name", app)
