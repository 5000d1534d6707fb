"""The neutral request: what every pair of dialects that differ can say to each other.

Mirrors proto inference/v1/chat.proto; the comments there hold here too.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
# How long a provider should keep the prompt up to and including a part; empty means no hint. A provider that caches by
# itself needs none, so leaving a hint out changes nothing that anybody was promised.
CacheTtl = Literal["", "5m", "1h"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the vocabulary."""


class Text(Struct, frozen=True, kw_only=True):
    """Visible text."""

    text: str
    cache_ttl: CacheTtl = ""


class Media(Struct, frozen=True, kw_only=True):
    """Picture, audio or document; exactly one of `data`, `url`, `file_id` is set."""

    mime_type: str = ""
    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str = ""
    detail: str = ""
    cache_ttl: CacheTtl = ""


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call that the assistant made; `arguments` is the model's own JSON text, possibly cut."""

    id: str
    name: str
    arguments: str
    cache_ttl: CacheTtl = ""


class ToolResult(Struct, frozen=True, kw_only=True):
    """The answer of a tool.

    Args:
        parts: what it gave, in its order.
        name: name of the tool where the client gave it; dialects that need it look it up by the id of the call.
    """

    tool_call_id: str
    parts: tuple[Text | Media, ...] = ()
    is_error: bool = False
    name: str = ""
    cache_ttl: CacheTtl = ""

    @property
    def text(self) -> str:
        """All of its texts as one, for dialects that take one: each on a line of its own."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text) and part.text)

    @property
    def media(self) -> tuple[Media, ...]:
        """What is not text."""
        return tuple(part for part in self.parts if isinstance(part, Media))


class Reasoning(Struct, frozen=True, kw_only=True):
    """Reasoning of an earlier turn."""

    text: str


class Refusal(Struct, frozen=True, kw_only=True):
    """Refusal of an earlier turn."""

    text: str


class OpaqueBlock(Struct, frozen=True, kw_only=True):
    """A block that only `dialect` understands; it returns there byte for byte.

    In an assistant's turn, the blocks of one dialect are the whole turn as its provider wrote it, in order: text,
    calls, thoughts with their signatures. That provider's dialect sends them back and leaves out the neutral parts
    beside them; every other dialect does the reverse (known-failures B-17, T-14).
    """

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
    cache_ttl: CacheTtl = ""


ToolChoiceMode = Literal["auto", "none", "required", "named"]


class ToolChoice(Struct, frozen=True, kw_only=True):
    """Which tool to call.

    Args:
        name: only with mode `named`.
        allowed: only with `auto` and `required`: the tools that may be called; empty means all.
    """

    mode: ToolChoiceMode = "auto"
    name: str = ""
    parallel: bool | None = None
    allowed: tuple[str, ...] = ()


FormatKind = Literal["text", "json_object", "json_schema"]


class ResponseFormat(Struct, frozen=True, kw_only=True):
    """Form of the answer; `schema` is JSON, only with `json_schema`."""

    kind: FormatKind
    name: str = ""
    schema: bytes = b""
    is_strict: bool | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """How to sample; None means the provider's default.

    Args:
        reasoning_effort: none, minimal, low, medium, high, xhigh, max; empty when not said.
        reasoning_budget: tokens that the model may think; 0 means that it must not.
        shows_reasoning: whether the answer should hold the reasoning or a summary of it.
    """

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
    reasoning_budget: int | None = None
    shows_reasoning: bool | None = None


class ChatInput(Struct, frozen=True, kw_only=True):
    """One chat to continue.

    Args:
        native_tools: tools that a provider runs itself (web search, code), as the blocks of its dialect; every other
            dialect refuses them.
        extension: a JSON object of parameters that only some providers know, in OpenAI's names, or empty.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    native_tools: tuple[OpaqueBlock, ...] = ()
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    sampling: Sampling = Sampling()
    extension: bytes = b""


EmbeddingPurpose = Literal["", "search_document", "search_query", "classification", "clustering", "similarity"]


class EmbeddingsInput(Struct, frozen=True, kw_only=True):
    """Texts to embed, in order; `purpose` is what the vectors are for, where a model makes a difference."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    purpose: EmbeddingPurpose = ""
    extension: bytes = b""


class RerankInput(Struct, frozen=True, kw_only=True):
    """Documents to order by how well they answer a query; `top_n` None means all of them."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    extension: bytes = b""


class CountTokensInput(Struct, frozen=True, kw_only=True):
    """A chat whose prompt is to be counted, not continued."""

    chat: ChatInput
