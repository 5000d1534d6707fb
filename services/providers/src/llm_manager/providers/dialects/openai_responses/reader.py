"""Reads Responses answers: streams, whole answers, and whole answers that came where a stream was asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from llm_manager.core.deltas import AnswerInfo, Delta
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts, FinishMeaning
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM, Mender
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.event_stream import EventStream
from llm_manager.providers.dialects.finish import UNKNOWN_MEANING, neutral_reason
from llm_manager.providers.dialects.numbers import unix_seconds
from llm_manager.providers.dialects.openai_responses.events import (
    EVENT,
    RESPONSE,
    TERMINAL,
    Event,
    Response,
    compact,
    is_said,
    says_nothing_yet,
)
from llm_manager.providers.dialects.openai_responses.failures import failure_of
from llm_manager.providers.dialects.openai_responses.output import Output
from llm_manager.providers.dialects.openai_responses.unfolding import unfolded
from llm_manager.providers.dialects.openai_responses.usage import report_of
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, failed_finish

# Statuses, and reasons of incomplete answers; the rest of the statuses are no ends.
_MEANINGS: Mapping[str, FinishMeaning] = {
    "completed": "stop",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "failed": "error",
    "cancelled": "error",
}
# A background answer is fetched later by its id, which only a client of this dialect can do (recordings, quirk 31).
_PENDING = frozenset({"queued", "in_progress"})
# What is held back before the first content may not grow without bound (known-failures B-6).
_MAX_HELD_EVENTS, _MAX_HELD_BYTES = 64, 256 * 1024


class ResponsesReader(ABC):
    """Shared by streams and whole answers; the protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._new_id = new_id
        self._output = Output(new_id)
        self._info: AnswerInfo | None = None
        self._usage_raw = b""
        self._usage_answer = b""
        self.error: LlmManagerError | None = None
        self.is_done = False
        self.response_model = ""
        self.finish_reason = ""
        self.native_finish_reason = ""
        self.unknown_finish_reasons: list[str] = []

    @property
    def written(self) -> Written:
        """See `port.AnswerReader`."""
        return self._output.written

    @abstractmethod
    def feed(self, data: bytes) -> Pieces:
        """See `port.AnswerReader`."""

    @abstractmethod
    def finish(self) -> Pieces:
        """See `port.AnswerReader`."""

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        if not self._usage_raw:
            return None
        return report_of(self._facts, self._usage_raw, response=self._usage_answer)

    def _note(self, response: Response, raw: bytes) -> None:
        """Take what an answer says about itself."""
        if is_said(response.usage):
            self._usage_raw, self._usage_answer = bytes(response.usage), raw
        self.response_model = response.model or self.response_model
        self._output.note_tools(response)
        if self._info is None:
            self._info = AnswerInfo(
                id=response.id or self._new_id(),
                model=response.model or "",
                created=unix_seconds(response.created_at),
                # Streams begin with the tier that was asked for; `auto` is none that served anybody (27 recordings).
                service_tier="" if response.service_tier in (None, "auto") else response.service_tier,
            )

    def _close(self, response: Response, raw: bytes) -> list[Delta]:
        """Take the end of the answer; return what of it was not said yet, and the finish."""
        if is_said(response.error):
            self._fail(failure_of(self._facts, raw))
            return []
        status = response.status or ""
        self.native_finish_reason = status
        if status == "incomplete":
            self.native_finish_reason = (response.incomplete_details and response.incomplete_details.reason) or status
        if status in _PENDING:
            if not self._is_native:
                self._fail(broken_answer(self._facts, f"is not there yet: its status is {status!r}"))
            return []
        meaning = _MEANINGS.get(self.native_finish_reason)
        if meaning == "error":
            self._fail(failed_finish(self._facts, status))
            return []
        if meaning is None:
            meaning = UNKNOWN_MEANING
            self.unknown_finish_reasons.append(self.native_finish_reason)
        deltas = self._output.close_rest(response.output or ())
        reason = neutral_reason(meaning, has_tool_calls=self._output.has_calls)
        self.finish_reason = reason
        return deltas + self._output.finishes(reason, self.native_finish_reason)

    def _say(self, deltas: list[Delta], pieces: Pieces) -> None:
        """Hand out neutral steps; who the answer is goes with the first, so that a failure before it leaves nothing."""
        if deltas and self._info is not None and not self._has_told_info:
            pieces.info = self._info
            self._has_told_info = True
        pieces.deltas += deltas

    _has_told_info = False

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error


class ResponseStreamReader(ResponsesReader):
    """Reads a stream of events."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._stream = EventStream()
        self._mender = Mender()
        self._has_events = False
        # None once content came: from then on nothing is held back.
        self._held: list[bytes] | None = []

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        for event in self._stream.feed(data):
            self._take(event.event, event.data, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the stream."""
        pieces, document = Pieces(), self._stream.document
        for event in self._stream.finish():
            self._take(event.event, event.data, pieces)
        for part in unfolded(document) if document is not None else ():
            self._take(None, part.decode("utf-8", "replace"), pieces)
        if not self.is_done and self.error is None:
            what = "was cut off before its finish" if self._has_events else "holds no event"
            self._fail(broken_answer(self._facts, what))
        return pieces

    def _take(self, name: str | None, text: str, pieces: Pieces) -> None:
        # OpenRouter ends these streams with [DONE] too, after the last event (openai_compatible-responses-f8bb25ffa7).
        if self.is_done or not text or text.strip() == "[DONE]":
            return
        data = self._mender.event(text.encode())
        try:
            event = EVENT.decode(data)
            self._has_events = True
            if event.type is None and name is not None:
                event.type = name
                data = _named(name, data)
            deltas = self._read(event, data)
        except msgspec.DecodeError:
            self._fail(broken_answer(self._facts, "holds an event that is no JSON of a response"))
            return
        if self.error is not None:
            return
        if not self._is_native:
            self._say(deltas, pieces)
        elif event.type is not None:
            # No client knows what to do with an event without a type.
            self._pass(event, compact(data), pieces)

    def _read(self, event: Event, data: bytes) -> list[Delta]:
        response: Response | None = None
        raw = b""
        if is_said(event.response):
            raw = bytes(event.response)
            response = RESPONSE.decode(raw)
            self._note(response, raw)
        if event.type == "error" or is_said(event.error):
            self._fail(failure_of(self._facts, data))
        elif event.type == "response.failed" and (response is None or not is_said(response.error)):
            self._fail(failed_finish(self._facts, "failed"))
        if event.type in TERMINAL:
            self.is_done = True
            if self.error is None:
                end = response or Response()
                end.status = end.status or (event.type or "").removeprefix("response.")
                return self._close(end, raw)
            return []
        return self._output.take(event) if self.error is None else []

    def _pass(self, event: Event, data: bytes, pieces: Pieces) -> None:
        if self._held is None:
            pieces.native.append(data)
            return
        self._held.append(data)
        is_full = len(self._held) >= _MAX_HELD_EVENTS or sum(map(len, self._held)) >= _MAX_HELD_BYTES
        if is_full or not says_nothing_yet(event):
            pieces.native += self._held
            self._held = None


class ResponseBodyReader(ResponsesReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a body says nothing before its end."""
        self._pieces.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the body."""
        body = b"".join(self._pieces).removeprefix(BOM).strip()
        self.is_done = True
        pieces = Pieces()
        try:
            response = RESPONSE.decode(body)
            self._note(response, body)
            if response.output is None and not is_said(response.error):
                self._fail(broken_answer(self._facts, "holds no output"))
                return pieces
            deltas = self._close(response, body)
        except msgspec.DecodeError:
            self._fail(broken_answer(self._facts, "is no response"))
            return pieces
        if self.error is not None:
            return pieces
        if self._is_native:
            pieces.native.append(body)
        else:
            self._say(deltas, pieces)
        return pieces


def _named(name: str, data: bytes) -> bytes:
    """Return an event with its type in the document, where clients of this dialect look for it."""
    fields = raw_table(data)
    return msgspec.json.encode({"type": name, **{key: raw for key, raw in fields.items() if key != "type"}})
