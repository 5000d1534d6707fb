"""The words of a Responses request, as far as another dialect can say them.

Items that clients send back as they got them are read leniently: they carry fields of our own answers. What a client
writes itself is read strictly: a field that cannot be passed on is refused, never dropped.

Source: openai-python 3.54 `types/responses/response_create_params.py` and `response_input_item_param.py`, and Open
Responses 2026-04-24 (https://www.openresponses.org/specification), read on 2026-11-24.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.gateway.ingress.decoding import ModelName
from llm_manager.gateway.ingress.openai.chat_request import CacheControl, Lenient, Strict

Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
# Longer than the ids of any provider seen; the width of the column that keeps them.
ResponseId = Annotated[str, Meta(min_length=1, max_length=512)]


class ResponseHead(Lenient, frozen=True, kw_only=True):
    """What the gateway itself reads of every request, also of one that goes through to its provider as it is."""

    model: ModelName
    input: Raw = Raw()
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: ResponseId | None = None
    conversation: Raw = Raw()
    user: str | None = None
    safety_identifier: str | None = None


class CacheBreakpoint(Strict, frozen=True):
    """How long to keep the prompt up to here, in OpenAI's words."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class TextPart(Strict, frozen=True, tag="input_text", kw_only=True):
    """Text."""

    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None
    cache_control: CacheControl | None = None


class ImagePart(Strict, frozen=True, tag="input_image", kw_only=True):
    """Picture: an address, a data: URL, or a stored file."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None
    cache_control: CacheControl | None = None


class FilePart(Strict, frozen=True, tag="input_file", kw_only=True):
    """Document: an address, a data: URL, or a stored file."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None
    cache_control: CacheControl | None = None


class AudioData(Strict, frozen=True):
    """Audio in base64."""

    data: str
    format: str


class AudioPart(Strict, frozen=True, tag="input_audio", kw_only=True):
    """Audio."""

    input_audio: AudioData


class OutputTextPart(Lenient, frozen=True, tag="output_text", kw_only=True):
    """Text that the model wrote."""

    text: str


class RefusalPart(Lenient, frozen=True, tag="refusal", kw_only=True):
    """Refusal that the model wrote."""

    refusal: str


UserPart = TextPart | ImagePart | FilePart | AudioPart
AssistantPart = OutputTextPart | RefusalPart | TextPart


class UserItem(Strict, frozen=True, kw_only=True):
    """What a person said, or instructions (role system, developer)."""

    role: Literal["user", "system", "developer"]
    content: str | list[UserPart]
    type: Literal["message"] = "message"
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class AssistantItem(Lenient, frozen=True, kw_only=True):
    """What the model said."""

    content: str | list[AssistantPart]


class ReasoningText(Lenient, frozen=True):
    """A piece of a summary, or of the reasoning itself."""

    text: str


class ReasoningItem(Lenient, frozen=True, kw_only=True):
    """What the model thought, or what only its provider can read of it."""

    id: str | None = None
    summary: tuple[ReasoningText, ...] = ()
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class CallItem(Lenient, frozen=True, kw_only=True):
    """A call that the model made."""

    call_id: str
    name: str
    arguments: str


class CustomCallItem(Lenient, frozen=True, kw_only=True):
    """A call of a tool that takes any text."""

    call_id: str
    name: str
    input: str


class CallOutputItem(Lenient, frozen=True, kw_only=True):
    """What a tool answered."""

    call_id: str
    output: str | list[TextPart | ImagePart | FilePart]
    name: str | None = None


class CompactionItem(Lenient, frozen=True, kw_only=True):
    """A conversation in short; see `compaction`."""

    encrypted_content: str


class ItemKind(Lenient, frozen=True):
    """What tells items apart. A message needs no type, and neither does a reference."""

    type: str | None = None
    role: str | None = None
    id: str | None = None

    @property
    def name(self) -> str:
        """The item's type."""
        if self.type is not None:
            return self.type
        return "item_reference" if self.role is None and self.id else "message"


class FunctionTool(Strict, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    type: Literal["function"] = "function"
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    cache_control: CacheControl | None = None


class NamedFunction(Strict, frozen=True, tag="function"):
    """The one tool to call."""

    name: str


class AllowedTools(Strict, frozen=True, tag="allowed_tools"):
    """Some of the tools, so that the list of all may stay the same and cached."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedFunction], Meta(min_length=1)]


class TextFormat(Strict, frozen=True, tag="text"):
    """Any text."""


class JsonObjectFormat(Strict, frozen=True, tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(Strict, frozen=True, tag="json_schema"):
    """JSON after a schema."""

    name: str
    schema: Raw
    description: str | None = None
    strict: bool | None = None


class TextOptions(Strict, frozen=True):
    """Form of the text."""

    format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: str | None = None


class ReasoningOptions(Strict, frozen=True):
    """How much to think and whether to show it; `generate_summary` is the old name of `summary`."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class ResponseRequest(Lenient, frozen=True, kw_only=True):
    """Everything that the neutral vocabulary has a word for, and what the answer repeats."""

    input: str | list[Raw] | None = None
    instructions: str | None = None
    tools: list[Raw] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedFunction | AllowedTools | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Positive | None = None
    max_tool_calls: Positive | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    metadata: Metadata | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    prompt: Raw = Raw()
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    service_tier: str | None = None
    store: bool | None = None


def is_given(raw: Raw) -> bool:
    """Whether a field is there and not null."""
    return bytes(raw).strip() not in (b"", b"null")


def raw_items(raw: Raw) -> list[Raw]:
    """Return the items of an `input` that was decoded before as text or list; a text is one message of the user."""
    if not is_given(raw):
        return []
    value = msgspec.json.decode(raw, type=str | list[Raw])
    if isinstance(value, str):
        return [Raw(msgspec.json.encode({"type": "message", "role": "user", "content": value}))]
    return value
