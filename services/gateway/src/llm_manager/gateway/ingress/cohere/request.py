"""The words of a chat request in Cohere's dialect.

Source: cohere-python 7.3 `v2/client.py`, `types/chat_message_v2.py`, read on 2026-11-25, and the recorded requests.
Null fields are what the SDK writes when it sends an answer back.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Raw

from llm_manager.gateway.ingress.decoding import ModelName
from llm_manager.gateway.ingress.openai.chat_request import (
    CalledTool,
    ImagePart,
    Lenient,
    Natural,
    Positive,
    ProviderBlock,
    Strict,
    TextPart,
)


class ChatHead(Lenient, frozen=True):
    """What the gateway itself reads of every request."""

    model: ModelName
    messages: Annotated[list[Raw], Meta(min_length=1)]
    stream: bool | None = None


class ThinkingPart(Strict, frozen=True, tag="thinking"):
    """What the model thought."""

    thinking: str


class Document(Strict, frozen=True):
    """What a tool found, under names of its own."""

    data: Raw
    id: str | None = None


class DocumentPart(Strict, frozen=True, tag="document"):
    """One document of a tool's answer."""

    document: Document


class SystemMessage(Strict, frozen=True, tag_field="role", tag="system"):
    """Instructions."""

    content: str | list[TextPart]


class UserMessage(Strict, frozen=True, tag_field="role", tag="user"):
    """What the person said."""

    content: str | list[TextPart | ImagePart]


class AssistantMessage(Strict, frozen=True, tag_field="role", tag="assistant"):
    """What the model said; `provider_blocks` is an extension of ours, see `openai.extras`."""

    content: str | list[TextPart | ThinkingPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_plan: str | None = None
    citations: list[Raw] | None = None
    provider_blocks: list[ProviderBlock] | None = None


class ToolMessage(Strict, frozen=True, tag_field="role", tag="tool"):
    """What a tool answered."""

    tool_call_id: str
    content: str | list[TextPart | DocumentPart]


AnyMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(Strict, frozen=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()


class Tool(Strict, frozen=True):
    """A tool; there are only functions."""

    type: Literal["function"]
    function: Function


class TextFormat(Strict, frozen=True, tag="text"):
    """Any text."""


class JsonFormat(Strict, frozen=True, tag="json_object"):
    """JSON, after a schema where there is one; `schema` is its name of the first version."""

    json_schema: Raw = Raw()
    schema: Raw = Raw()


class Thinking(Strict, frozen=True):
    """Whether to think, and how much."""

    type: Literal["enabled", "disabled"]
    token_budget: Positive | None = None


class ChatRequest(Lenient, frozen=True, kw_only=True):
    """Everything that the neutral vocabulary has a word for; the rest goes into its extension."""

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    tools: list[Tool] | None = None
    strict_tools: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    response_format: TextFormat | JsonFormat | None = None
    max_tokens: Positive | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    k: Natural | None = None
    p: Annotated[float, Meta(ge=0, le=1)] | None = None
    logprobs: bool | None = None
    thinking: Thinking | None = None
