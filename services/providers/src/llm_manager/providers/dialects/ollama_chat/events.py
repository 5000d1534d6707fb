"""The parts of Ollama's lines that the readers look at. Everything else is left in the bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.core.deltas import AnswerInfo
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.numbers import exact_number
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import NewId


class Function(msgspec.Struct):
    """Name and arguments of a call; arguments are an object."""

    name: str = ""
    arguments: msgspec.Raw | UnsetType = UNSET


class Call(msgspec.Struct):
    """A whole call; only newer versions give ids."""

    function: Function
    id: str | None = None


class Message(msgspec.Struct):
    """What a line adds to the assistant's turn."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Line(msgspec.Struct):
    """What every line has."""

    model: str | None = None
    created_at: str | None = None
    done: bool = False
    done_reason: str | None = None
    error: Any = None  # Any: text by the book
    logprobs: Any = None  # Any: Ollama's own list, see `logprobs`


class ChatLine(Line):
    """A line of a chat."""

    message: Message | None = None


CHAT_LINE = LenientDecoder(ChatLine, strict=False, float_hook=exact_number)
# What is not usage in the last line; the rest is the report, unknown keys included.
_ANSWER_FIELDS = frozenset(
    {
        *("model", "created_at", "message", "response", "thinking", "done", "done_reason", "context", "logprobs"),
        *("remote_model", "remote_host", "image", "completed", "total"),
    }
)


def report_in(data: bytes) -> bytes:
    """Return the counts of a last line, which stand beside the answer, each as it was written; empty for none."""
    report = {name: value for name, value in raw_table(data).items() if name not in _ANSWER_FIELDS}
    return msgspec.json.encode(report) if report else b""


def arguments_of(call: Call) -> str:
    """Return the arguments of a call as JSON text."""
    raw = call.function.arguments
    return "{}" if raw is UNSET or bytes(raw) == b"null" else bytes(raw).decode()


def info_of(line: Line, new_id: NewId) -> AnswerInfo:
    """Return what the first line says about the answer as a whole. Ollama's answers have no id."""
    return AnswerInfo(id=new_id(), model=line.model or "", created=unix_seconds(line.created_at))


def unix_seconds(text: str | None) -> int:
    """Return Unix seconds; 0 for what is no time.

    Ollama writes nanoseconds, which Python reads up to the microsecond.
    """
    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except ValueError:
        return 0
