"""The neutral request: what every pair of dialects that differ can say to each other.

Mirrors proto inference/v1/chat.proto; the comments there hold here too.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the vocabulary."""


class Text(Struct, frozen=True, kw_only=True):
    """Visible text."""

    text: str


class Media(Struct, frozen=True, kw_only=True):
    """Picture, audio or document; exactly one of `data`, `url`, `file_id` is set."""

    mime_type: str = ""
    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str = ""
    detail: str = ""


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call that the assistant made; `arguments` is the model's own JSON text, possibly cut."""

    id: str
    name: str
    arguments: str


class ToolResult(Struct, frozen=True, kw_only=True):
    """The answer of a tool."""

    tool_call_id: str
    content: str
    is_error: bool = False


class Reasoning(Struct, frozen=True, kw_only=True):
    """Reasoning of an earlier turn."""

    text: str


class Refusal(Struct, frozen=True, kw_only=True):
    """Refusal of an earlier turn."""

    text: str


class OpaqueBlock(Struct, frozen=True, kw_only=True):
    """A block that only `dialect` understands; it returns there byte for byte."""

    dialect: str
    json: bytes


Part = Text | Media | ToolCall | ToolResult | Reasoning | Refusal | OpaqueBlock


class Message(Struct, frozen=True, kw_only=True):
    """One turn; `parts` in order."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


class Tool(Struct, frozen=True, kw_only=True):
    """A function; `parameters` is its JSON Schema as JSON, empty when it takes none."""

    name: str
    description: str = ""
    parameters: bytes = b""
    is_strict: bool | None = None


class ToolChoice(Struct, frozen=True, kw_only=True):
    """Which tool to call; `name` only with mode `named`."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    parallel: bool | None = None


class ResponseFormat(Struct, frozen=True, kw_only=True):
    """Form of the answer; `schema` is JSON, only with `json_schema`."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str = ""
    schema: bytes = b""
    is_strict: bool | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """How to sample; None means the provider's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str = ""


class ChatInput(Struct, frozen=True, kw_only=True):
    """One chat to continue. `extension` is a JSON object of parameters that only some providers know, or empty."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    sampling: Sampling = Sampling()
    extension: bytes = b""


class EmbeddingsInput(Struct, frozen=True, kw_only=True):
    """Texts to embed, in order."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    extension: bytes = b""
