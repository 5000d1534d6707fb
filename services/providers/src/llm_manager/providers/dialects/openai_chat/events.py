"""The parts of OpenAI's documents that the reader looks at. Everything else is left in the bytes.

Types are as wide as compatible servers use them: a field that a server fills oddly must not fail an answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.json_values import items, table, tables
from llm_manager.providers.dialects.numbers import MOST_INDEX, whole_number
from llm_manager.providers.dialects.pointers import EXACT_ENCODER


class Function(msgspec.Struct):
    """Name and arguments of a call; arguments are text, or an object where a server thinks ahead."""

    name: str | None = None
    arguments: Any = None  # Any: text by the book, an object or null from Mistral and others


class CustomTool(msgspec.Struct):
    """A call of a tool with free-form input."""

    name: str | None = None
    input: str | None = None


class ToolCallPart(msgspec.Struct):
    """A call, or a fragment of one."""

    index: Any = None  # Any: a number by the book
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: CustomTool | None = None


class Message(msgspec.Struct):
    """A delta, or a whole message."""

    role: str | UnsetType | None = UNSET
    content: Any = None  # Any: text, null, or Mistral's list of text and thinking
    refusal: str | None = None
    reasoning_content: Any = None  # Any: text or null by the book
    reasoning: Any = None  # Any: text (Groq, OpenRouter), null, or an object
    tool_calls: list[ToolCallPart] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct):
    """One of the answers; streams fill `delta`, whole answers `message`."""

    index: Any = None  # Any: a number by the book
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | UnsetType | None = UNSET
    native_finish_reason: Any = None  # Any: OpenRouter's word or null
    logprobs: msgspec.Raw | UnsetType = UNSET
    text: Any = None  # Any: text of a legacy completion; Together sends it, or a number, beside every delta


def place_of(index: object) -> int:
    """Return the place of a choice; the first for what can be none."""
    return whole_number(index, most=MOST_INDEX) or 0


class ChatEvent(msgspec.Struct):
    """A chunk or a whole answer."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: Any = None  # Any: seconds by the book
    system_fingerprint: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw | UnsetType = UNSET
    error: msgspec.Raw | UnsetType = UNSET


CHAT_EVENT = LenientDecoder(ChatEvent, strict=False)
FALSY_ERRORS = (b"null", b"false", b'""', b"{}", b"[]")


def holds_error(event: ChatEvent) -> bool:
    """Return whether the field `error` says anything; some servers send it as null beside every answer."""
    return event.error is not UNSET and bytes(event.error).strip() not in FALSY_ERRORS


def split_content(content: object) -> tuple[str, str, list[Any]]:
    """Split content into text, reasoning text, and the parts that are neither.

    Mistral sends a list of `text` and `thinking` parts, plain and in streams (recordings, quirk 25).
    """
    if isinstance(content, str):
        return content, "", []
    text, reasoning = "", ""
    rest: list[Any] = []
    for part in items(content):
        fields = table(part)
        kind = fields.get("type")
        if isinstance(part, str):
            text += part
        elif kind in ("text", "output_text"):
            text += str(fields.get("text") or "")
        elif kind == "thinking":
            reasoning += _thinking_text(fields.get("thinking"))
        else:
            rest.append(part)
    return text, reasoning, rest


def _thinking_text(thinking: object) -> str:
    if isinstance(thinking, str):
        return thinking
    return "".join(str(item.get("text") or "") for item in tables(thinking))


def arguments_text(arguments: object) -> str:
    """Return arguments as JSON text; an object becomes compact JSON, null the empty string."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else EXACT_ENCODER.encode(arguments).decode()


def real_id(call_id: object) -> str:
    """Return the id of a call; empty for none and for Mistral's text "null"."""
    return call_id if isinstance(call_id, str) and call_id != "null" else ""
