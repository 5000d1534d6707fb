"""HTTP models of providers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from llm_manager.gateway.catalogue.environment import Origin


class ProviderView(BaseModel):
    """A provider without its credential."""

    name: str = Field(examples=["openai"])
    kind: str = Field(examples=["openai"])
    base_url: str = Field(description="Where it is reached; empty when it answers from this machine.")
    origin: Origin = Field(description="environment: a variable gives it now; kept: one gave it at an earlier start.")
    variables: list[str] = Field(description="Variables that are set now.", examples=[["OPENAI_API_KEY"]])
    kept_variables: list[str] = Field(description="Variables whose value of an earlier start is used.")
    models: int = Field(description="How many configurations lead to it.")


class ProviderList(BaseModel):
    """Every provider that can be used, by name."""

    data: list[ProviderView]
