"""The parts of Cohere's documents that the reader looks at. Everything else is left in the bytes."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.kit.lenient_json import LenientDecoder


class Function(msgspec.Struct):
    """Name and arguments of a call; in a stream one or the other."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    """A call, or a fragment of one."""

    id: str | None = None
    function: Function | None = None


class Block(msgspec.Struct):
    """A part of the content, or a fragment of one."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Message(msgspec.Struct):
    """A whole message with lists, or the one thing that an event of a stream adds."""

    content: msgspec.Raw | UnsetType = UNSET
    tool_plan: str | None = None
    tool_calls: msgspec.Raw | UnsetType = UNSET
    citations: msgspec.Raw | UnsetType = UNSET


class EventDelta(msgspec.Struct):
    """What an event of a stream adds."""

    message: Message | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw | UnsetType = UNSET
    error: Any = None  # Any: text; that it is there is all that counts


class Document(msgspec.Struct):
    """An event of a stream, a whole answer, or a refusal, whose `message` is text."""

    type: str | None = None
    id: str | None = None
    index: int | None = None
    delta: EventDelta | None = None
    message: msgspec.Raw | UnsetType = UNSET
    finish_reason: str | None = None
    usage: msgspec.Raw | UnsetType = UNSET
    logprobs: msgspec.Raw | UnsetType = UNSET
    error: Any = None  # Any: as above


DOCUMENT = LenientDecoder(Document)
MESSAGE = LenientDecoder(Message)
RAWS = LenientDecoder(list[msgspec.Raw])
BLOCK = LenientDecoder(Block)
CALL = LenientDecoder(Call)


def is_said(value: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """Return whether a field is there and says something."""
    return isinstance(value, msgspec.Raw) and bytes(value) not in (b"null", b"{}", b"[]")


def each(value: msgspec.Raw | UnsetType) -> list[msgspec.Raw]:
    """Return the things that a field holds: a list in a whole message, one thing in an event."""
    if not is_said(value):
        return []
    return RAWS.decode(value) if bytes(value)[:1] == b"[" else [value]


def compact(document: bytes) -> bytes:
    """Return JSON on one line. Texts and numbers stay as they were written."""
    return msgspec.json.format(document, indent=-1) if b"\n" in document else document
