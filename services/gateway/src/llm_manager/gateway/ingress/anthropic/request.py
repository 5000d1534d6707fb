"""The words of a request in Anthropic's dialect.

Content blocks and tools stay JSON here: what a block may hold depends on who says it, and blocks that only Anthropic
understands travel on byte for byte (`blocks`, `tools`).

Source: anthropic 2.12 `types/message_create_params.py`, read on 2026-11-24.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.gateway.ingress.decoding import ModelName


class Lenient(msgspec.Struct, frozen=True):
    """Takes unknown fields; what they mean is decided elsewhere."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unknown field is an error: it could not be passed on, and dropping it in silence would be a lie."""


Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Metadata(Lenient, frozen=True):
    """Who the request is for."""

    user_id: str | None = None


class CountHead(Lenient, frozen=True):
    """What the gateway itself reads of every request for a count."""

    model: ModelName
    messages: Annotated[list[Raw], Meta(min_length=1)]


class MessagesHead(CountHead, frozen=True, kw_only=True):
    """What the gateway itself reads of every request; 0 tokens fill the cache and answer nothing."""

    max_tokens: Natural
    stream: bool | None = None
    metadata: Metadata | None = None


class CacheControl(Strict, frozen=True):
    """How long to keep the prompt up to here."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class MessageParam(Strict, frozen=True):
    """One turn; a system turn may stand anywhere in newer models."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class ThinkingEnabled(Strict, frozen=True, tag="enabled"):
    """Think up to a number of tokens."""

    budget_tokens: Positive
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(Strict, frozen=True, tag="adaptive"):
    """Think as much as the model finds right."""

    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(Strict, frozen=True, tag="disabled"):
    """Do not think."""


class JsonFormat(Strict, frozen=True, tag="json_schema"):
    """JSON after a schema."""

    schema: Raw


class OutputConfig(Strict, frozen=True):
    """How hard to try, and in which form to answer."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class ToolChoice(Strict, frozen=True):
    """Which tool to call; `name` only with `tool`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class CountRequest(Lenient, frozen=True, kw_only=True):
    """Everything that the neutral vocabulary has a word for; the rest goes into its extension."""

    messages: Annotated[list[MessageParam], Meta(min_length=1)]
    system: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoice | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Natural | None = None
    stop_sequences: list[str] | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    cache_control: CacheControl | None = None


class MessagesRequest(CountRequest, frozen=True, kw_only=True):
    """A request for an answer."""

    max_tokens: Positive
