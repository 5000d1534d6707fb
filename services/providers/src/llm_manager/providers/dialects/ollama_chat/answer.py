"""Reads Ollama's answers: lines of JSON, or one document; an error line can follow a status of 200."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import msgspec

from llm_manager.core.deltas import (
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
from llm_manager.kit.lenient_json import BOM, Mender
from llm_manager.kit.ndjson import NdjsonDecoder
from llm_manager.providers.dialects.estimate import Written, doubted
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.ollama_chat.events import (
    CHAT_LINE,
    ChatLine,
    Line,
    Message,
    arguments_of,
    info_of,
    report_in,
)
from llm_manager.providers.dialects.ollama_chat.logprobs import openai_logprobs
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream, failed_finish
from llm_manager.providers.dialects.usage_report import read_report

L = TypeVar("L", bound=Line)
# The model was loaded or unloaded and nothing was said. Ollama's own clients ask for that with an empty prompt.
_ASKED_FOR_NOTHING = frozenset({"load", "unload"})


class LineReader(ABC, Generic[L]):
    """Shared by chats and texts; the protocol is `port.AnswerReader`.

    Args:
        is_stream: False keeps the bytes until the end, however many lines they are.
    """

    def __init__(self, facts: Facts, *, is_native: bool, is_stream: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._is_stream = is_stream
        self._new_id = new_id
        self._decoder = NdjsonDecoder()
        self._mender = Mender()
        self._body: list[bytes] = []
        self._calls = 0
        self._has_begun = False
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
        report = read_report(self._facts.usage, self._usage_raw) if self._usage_raw else None
        return doubted(report, self.written)

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        if not self._is_stream:
            self._body.append(data)
            return pieces
        for line in self._decoder.feed(data):
            self._take(line, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the answer."""
        pieces = Pieces()
        body = b"".join(self._body).removeprefix(BOM).strip()
        lines = [body] if body and _is_one(body) else [*self._decoder.feed(body), *self._decoder.finish()]
        for line in lines:
            self._take(line, pieces)
        if not self.is_done and self.error is None:
            self.error = broken_answer(self._facts, "was cut off before its finish")
        if not self._is_stream and self.error is not None:
            return Pieces()
        if not self._is_stream and self._is_native and len(pieces.native) > 1:
            self.error = broken_answer(self._facts, "is a stream where a whole answer was asked")
            return Pieces()
        return pieces

    @abstractmethod
    def _decode(self, data: bytes) -> L:
        """Read one line."""

    @abstractmethod
    def _say(self, line: L, pieces: Pieces) -> None:
        """Write what a line says in neutral words, and count it in either form."""

    def _take(self, data: bytes, pieces: Pieces) -> None:
        if self.is_done or self.error is not None:
            return
        try:
            data = self._mender.event(data)
            line = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.error = broken_answer(self._facts, "holds a line that is no JSON of an answer")
            return
        if line.error:
            self.error = error_in_stream(self._facts, data)
            return
        said = Pieces()
        if not self._has_begun:
            self._has_begun = True
            self.response_model = line.model or ""
            said.info = info_of(line, self._new_id)
        self._say(line, said)
        if line.logprobs:
            said.deltas.append(Logprobs(json=openai_logprobs(line.logprobs)))
        if line.done:
            self._close(line, data, said)
        if self._is_native and self.error is None:
            pieces.native.append(data)
        elif not self._is_native:
            pieces.extend(said)

    def _close(self, line: Line, data: bytes, said: Pieces) -> None:
        self.is_done = True
        self._usage_raw = report_in(data)
        # Versions before 0.3 (2024) say done without a reason.
        reason = line.done_reason or "stop"
        self.native_finish_reason = reason
        meaning, is_known = meaning_of(self._facts, reason)
        if meaning == "error" and self._is_native and reason in _ASKED_FOR_NOTHING:
            meaning = "stop"
        if meaning == "error":
            self.error = failed_finish(self._facts, reason)
            return
        if not is_known:
            self.unknown_finish_reasons.append(reason)
        neutral = neutral_reason(meaning, has_tool_calls=self._calls > 0)
        self.finish_reason = neutral
        said.deltas.append(Finish(reason=neutral, native_reason=reason))

    def _say_text(self, text: str | None, thinking: str | None, said: Pieces) -> None:
        if thinking:
            said.deltas.append(ReasoningDelta(text=thinking))
            self.written.add_reasoning(0, thinking)
        if text:
            said.deltas.append(TextDelta(text=text))
            self.written.add_text(0, text)


class OllamaChatReader(LineReader[ChatLine]):
    """Reads a chat."""

    def _decode(self, data: bytes) -> ChatLine:
        return CHAT_LINE.decode(data)

    def _say(self, line: ChatLine, pieces: Pieces) -> None:
        message = line.message or Message()
        self._say_text(message.content, message.thinking, pieces)
        for call in message.tool_calls or ():
            # `function.index` counts per line in some versions; order of appearance is what holds.
            name, arguments = call.function.name, arguments_of(call)
            call_id = "" if self._is_native else call.id or self._new_id()
            pieces.deltas.append(ToolCallStart(index=self._calls, id=call_id, name=name))
            pieces.deltas.append(ToolCallArguments(index=self._calls, fragment=arguments))
            self.written.add_text(0, name + arguments)
            self._calls += 1


def _is_one(body: bytes) -> bool:
    """Return whether the bytes are one document, on however many lines."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
