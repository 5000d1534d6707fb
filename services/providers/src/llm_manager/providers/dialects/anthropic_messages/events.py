"""The parts of Anthropic's documents that the reader looks at. Everything else is left in the bytes."""

from __future__ import annotations

from typing import TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.kit.lenient_json import LenientDecoder

# Blocks that neutral words say; every other one is the provider's own.
TEXT, TOOL_USE, THINKING = "text", "tool_use", "thinking"


class Block(msgspec.Struct):
    """A block of the content, whole or as it begins in a stream."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citations: msgspec.Raw | UnsetType = UNSET
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw | UnsetType = UNSET


class BlockDelta(msgspec.Struct):
    """What an event adds to a block."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: msgspec.Raw | UnsetType = UNSET


class Message(msgspec.Struct):
    """A whole answer, or the head of one in `message_start`."""

    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw | UnsetType = UNSET


class Event(msgspec.Struct):
    """An event of a stream; a whole answer has the same members as its message."""

    type: str = ""
    index: int | None = None
    message: Message | None = None
    content_block: msgspec.Raw | UnsetType = UNSET
    delta: msgspec.Raw | UnsetType = UNSET
    usage: msgspec.Raw | UnsetType = UNSET


class Typed(msgspec.Struct):
    """Any event; those that this reader does not know may hold anything else."""

    type: str = ""


class Tiered(msgspec.Struct):
    """`usage`, as far as it is no count."""

    service_tier: str | None = None


class Ending(msgspec.Struct):
    """`delta` of `message_delta`."""

    stop_reason: str | None = None


EVENT = LenientDecoder(Event)
TYPED = LenientDecoder(Typed)
TIERED = LenientDecoder(Tiered)
MESSAGE = LenientDecoder(Message)
BLOCK = LenientDecoder(Block)
BLOCK_DELTA = LenientDecoder(BlockDelta)
ENDING = LenientDecoder(Ending)
RAWS = LenientDecoder(list[msgspec.Raw])


def is_said(value: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """Return whether a field is there and is not null."""
    return isinstance(value, msgspec.Raw) and bytes(value) not in (b"", b"null")


def compact(document: bytes) -> bytes:
    """Return JSON on one line. Texts and numbers stay as they were written."""
    return msgspec.json.format(document, indent=-1) if b"\n" in document else document
