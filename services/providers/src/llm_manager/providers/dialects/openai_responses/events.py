"""The parts of Responses documents that the readers look at. Everything else is left in the bytes.

Types are as wide as compatible servers use them: a field that a server fills oddly must not fail an answer.

Source: openai 3.54 (PyPI), types/responses; recordings/open/openai and openai_compatible (2026-11).
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, Raw, UnsetType

from llm_manager.kit.lenient_json import LenientDecoder

RawField = Raw | UnsetType


class Incomplete(msgspec.Struct):
    """Why an answer is not whole."""

    reason: str | None = None


class EchoedTool(msgspec.Struct):
    """A tool as the answer repeats it."""

    type: str | None = None
    name: str | None = None


class Response(msgspec.Struct):
    """A whole answer, or what is known of it so far."""

    id: str | None = None
    model: str | None = None
    created_at: Any = None  # Any: seconds by the book
    status: str | None = None
    service_tier: str | None = None
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None
    tools: list[EchoedTool] | None = None
    usage: RawField = UNSET
    error: RawField = UNSET


class Event(msgspec.Struct):
    """One event of a stream. An `error` keeps its parts at the top or in the field `error`."""

    type: str | None = None
    response: RawField = UNSET
    item: RawField = UNSET
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: Any = None  # Any: text by the book
    logprobs: RawField = UNSET
    annotation: RawField = UNSET
    error: RawField = UNSET


class Part(msgspec.Struct):
    """A part of a message, of a summary or of reasoning."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: RawField = UNSET


class ItemKind(msgspec.Struct):
    """What tells items apart."""

    type: str | None = None
    id: Any = None  # Any: text by the book


class Item(msgspec.Struct):
    """An item that neutral words know: message, reasoning, call of a function or of a tool that takes any text."""

    type: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None  # Any: text by the book
    input: str | None = None


EVENT = LenientDecoder(Event, strict=False)
RESPONSE = LenientDecoder(Response, strict=False)
ITEM_KIND = LenientDecoder(ItemKind)
ITEM = LenientDecoder(Item, strict=False)

# Nothing of the answer has been said yet: a failure right after them is a failure of the whole attempt (B-6).
_LIFECYCLE = frozenset(
    {
        *("response.created", "response.in_progress", "response.queued", "keepalive"),
        *("response.content_part.added", "response.reasoning_summary_part.added"),
    }
)
_EMPTY_AT_FIRST = frozenset({"message", "reasoning"})
TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def is_said(raw: RawField) -> TypeGuard[Raw]:
    """Return whether a field is there and says something."""
    return isinstance(raw, Raw) and bytes(raw).strip() not in (b"", b"null", b"{}", b"[]", b'""', b"false")


def id_of(item: bytes | Raw) -> str:
    """Return the id of an item, the empty string when it has none."""
    said = ITEM_KIND.decode(item).id
    return said if isinstance(said, str) else ""


def compact(document: bytes) -> bytes:
    """Return JSON on one line. Texts and numbers stay as they were written, so encrypted content does too."""
    return msgspec.json.format(document, indent=-1) if b"\n" in document else document


def says_nothing_yet(event: Event) -> bool:
    """Return whether an event only announces what is going to come: the answer, a message, a thought, a part."""
    if event.type == "response.output_item.added" and is_said(event.item):
        return ITEM_KIND.decode(event.item).type in _EMPTY_AT_FIRST
    return event.type in _LIFECYCLE
