"""Reads Ollama's answers: lines of JSON, or one document; an error line can follow a status of 200."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from llm_manager.core.deltas import (
    AnswerInfo,
    Finish,
    Logprobs,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.ndjson import NdjsonDecoder
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream, failed_finish
from llm_manager.providers.dialects.usage_report import read_report


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw | UnsetType = UNSET


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    model: str | None = None
    created_at: str | None = None
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    error: Any = None  # Any: text by the book
    logprobs: Any = None  # Any: Ollama's own list, passed on


_LINE = msgspec.json.Decoder(_Line, strict=False)
# What is not usage in the last line; the rest is the report, unknown keys included.
_ANSWER_FIELDS = frozenset(
    {"model", "created_at", "message", "response", "thinking", "done", "done_reason", "context", "logprobs"}
)


class OllamaChatReader:
    """Reads a chat; whole answers are a stream of one line. The protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id
        self._decoder = NdjsonDecoder()
        self._calls = 0
        self._has_info = False
        self._usage_raw = b""
        self.error: LlmManagerError | None = None
        self.is_done = False
        self.response_model = ""
        self.finish_reason = ""
        self.native_finish_reason = ""
        self.unknown_finish_reasons: list[str] = []
        self.written = Written()

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        return read_report(self._facts.usage, self._usage_raw) if self._usage_raw else None

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        for line in self._decoder.feed(data):
            self._take(line, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the answer."""
        pieces = Pieces()
        for line in self._decoder.finish():
            self._take(line, pieces)
        if not self.is_done and self.error is None:
            self.error = broken_answer(self._facts, "was cut off before its finish")
        return pieces

    def _take(self, data: bytes, pieces: Pieces) -> None:
        if self.is_done or self.error is not None:
            return
        try:
            line = _LINE.decode(data)
        except msgspec.DecodeError:
            self.error = broken_answer(self._facts, "holds a line that is no JSON of a chat")
            return
        if line.error:
            self.error = error_in_stream(self._facts, data)
            return
        if not self._has_info:
            self._has_info = True
            self.response_model = line.model or ""
            pieces.info = AnswerInfo(id=self._new_id(), model=self.response_model, created=_unix(line.created_at))
        if line.message is not None:
            self._take_message(line.message, pieces)
        if line.logprobs:
            json = msgspec.json.encode({"content": line.logprobs})
            pieces.deltas.append(Logprobs(json=json))
        if line.done:
            self._close(line, data, pieces)

    def _take_message(self, message: _Message, pieces: Pieces) -> None:
        if message.thinking:
            pieces.deltas.append(ReasoningDelta(text=message.thinking))
            self.written.add_reasoning(0, len(message.thinking))
        if message.content:
            pieces.deltas.append(TextDelta(text=message.content))
            self.written.add_text(0, len(message.content))
        for call in message.tool_calls or ():
            # `function.index` counts per line in some versions; order of appearance is what holds.
            raw = call.function.arguments
            arguments = "{}" if raw is UNSET or bytes(raw) == b"null" else bytes(raw).decode()
            name = call.function.name
            pieces.deltas.append(ToolCallStart(index=self._calls, id=call.id or self._new_id(), name=name))
            pieces.deltas.append(ToolCallArguments(index=self._calls, fragment=arguments))
            self.written.add_text(0, len(name) + len(arguments))
            self._calls += 1

    def _close(self, line: _Line, data: bytes, pieces: Pieces) -> None:
        self.is_done = True
        report = {name: value for name, value in raw_table(data).items() if name not in _ANSWER_FIELDS}
        self._usage_raw = msgspec.json.encode(report)
        # Versions before 0.3 (2024) say done without a reason.
        reason = line.done_reason or "stop"
        meaning, is_known = meaning_of(self._facts, reason)
        self.native_finish_reason = reason
        if meaning == "error":
            self.error = failed_finish(self._facts, reason)
            return
        if not is_known:
            self.unknown_finish_reasons.append(reason)
        neutral = neutral_reason(meaning, has_tool_calls=self._calls > 0)
        self.finish_reason = neutral
        pieces.deltas.append(Finish(reason=neutral, native_reason=reason))


def _unix(text: str | None) -> int:
    """Return Unix seconds. Ollama writes nanoseconds, which Python reads up to the microsecond."""
    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except ValueError:
        return 0
