"""Which chunks are well-formed as they came: most are, and those pass as bytes."""

from __future__ import annotations

from msgspec import UNSET

from llm_manager.providers.dialects.openai_chat.events import ChatEvent, Message

_NULL_USAGE = b',"usage":null'


def is_plain_delta(message: Message, has_role: bool) -> bool:
    """Return whether a delta needs no repair."""
    return (
        (message.role is UNSET) is has_role
        and message.reasoning is None
        and message.tool_calls is None
        and type(message.content) is not list
    )


def without_null_usage(chunk: ChatEvent, data: bytes) -> bytes:
    """Return a chunk without usage, empty when that takes more than a cut."""
    if chunk.usage is UNSET:
        return data
    return cut_null_usage(data) if bytes(chunk.usage) == b"null" and _NULL_USAGE in data else b""


def cut_null_usage(data: bytes) -> bytes:
    """Return a chunk without an empty usage. The bytes cannot occur inside of a JSON text: there quotes are escaped."""
    return data.replace(_NULL_USAGE, b"", 1)
