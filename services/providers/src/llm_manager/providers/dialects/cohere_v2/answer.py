"""Reads Cohere's chat answers: streams, whole answers, and failures in either."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from llm_manager.core.deltas import AnswerInfo, Delta
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM, Mender
from llm_manager.providers.dialects.cohere_v2 import neutral
from llm_manager.providers.dialects.cohere_v2.events import (
    DOCUMENT,
    MESSAGE,
    Document,
    Message,
    compact,
    each,
    is_said,
)
from llm_manager.providers.dialects.cohere_v2.reply import Reply, parts_of
from llm_manager.providers.dialects.estimate import Written, doubted
from llm_manager.providers.dialects.event_stream import EventStream
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream, failed_finish
from llm_manager.providers.dialects.usage_report import read_report


class ChatReader(ABC):
    """Shared by streams and whole answers; the protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._new_id = new_id
        self._reply = Reply()
        self._has_info = False
        self._usage_raw = b""
        self.error: LlmManagerError | None = None
        self.is_done = False
        # Cohere never says which model answered.
        self.response_model = ""

    @property
    def written(self) -> Written:
        """See `port.AnswerReader`."""
        return self._reply.written

    @property
    def finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        meaning = self._reply.meaning
        if meaning is None or meaning == "error":
            return ""
        return neutral_reason(meaning, has_tool_calls=bool(self._reply.calls.calls))

    @property
    def native_finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        return self._reply.native_reason

    @property
    def unknown_finish_reasons(self) -> list[str]:
        """See `port.AnswerReader`."""
        return [] if self._reply.is_known else [self._reply.native_reason]

    @abstractmethod
    def feed(self, data: bytes) -> Pieces:
        """See `port.AnswerReader`."""

    @abstractmethod
    def finish(self) -> Pieces:
        """See `port.AnswerReader`."""

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        report = read_report(self._facts.usage, self._usage_raw) if self._usage_raw else None
        return doubted(report, self.written)

    def _decode(self, data: bytes) -> Document | None:
        """Read one document and its usage; None for one that holds a failure, or nothing that can be read."""
        try:
            document = DOCUMENT.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail(broken_answer(self._facts, "holds a piece that is no JSON of an answer"))
            return None
        usage = document.usage if document.delta is None else document.delta.usage
        if is_said(usage):
            self._usage_raw = bytes(usage)
        reason = document.finish_reason if document.delta is None else document.delta.finish_reason
        if reason:
            self._reply.native_reason = reason
            self._reply.meaning, self._reply.is_known = meaning_of(self._facts, reason)
        said = document.error if document.delta is None else document.delta.error
        is_refusal = is_said(document.message) and bytes(document.message)[:1] == b'"'
        if said or is_refusal:
            self._fail(error_in_stream(self._facts, data))
        elif reason and self._reply.meaning == "error":
            self._fail(failed_finish(self._facts, reason))
        return document if self.error is None else None

    def _begin(self, document: Document, pieces: Pieces) -> None:
        """Say what is known about the answer as a whole."""
        if not self._has_info and not self._is_native:
            self._reply.id = document.id or self._new_id()
            pieces.info = AnswerInfo(id=self._reply.id, model="", created=0)
        self._has_info = True

    def _call(self, index: int | None, raw: msgspec.Raw) -> list[Delta]:
        call, is_new, fragment = self._reply.add_call(index, raw)
        return neutral.of_call(call, self._new_id, is_new=is_new, fragment=fragment)

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error


class ChatStreamReader(ChatReader):
    """Reads a stream of events."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._stream = EventStream()
        self._mender = Mender()

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        for event in self._stream.feed(data):
            self._take(event.event, event.data, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the stream; `[DONE]` is missing in streams of some servers, `message-end` never is."""
        pieces, document = Pieces(), self._stream.document
        if document is not None:
            if self._decode(document) is not None:
                self._fail(broken_answer(self._facts, "is no stream of events, as was asked for"))
            return pieces
        for event in self._stream.finish():
            self._take(event.event, event.data, pieces)
        self._close()
        return pieces

    def _take(self, name: str | None, text: str, pieces: Pieces) -> None:
        if self.is_done or not text:
            return
        if text.strip() == "[DONE]":
            self.is_done = True
            self._close()
            return
        data = self._mender.event(text.encode())
        document = self._decode(data)
        if document is None or self.error is not None:
            return
        self._begin(document, pieces)
        deltas = self._read(document.type or name, document)
        if self._is_native:
            pieces.native.append(compact(data))
        else:
            pieces.deltas += deltas

    def _read(self, kind: str | None, document: Document) -> list[Delta]:
        message = (document.delta.message if document.delta else None) or Message()
        reply, index = self._reply, document.index
        match kind:
            case "content-start" | "content-delta":
                blocks = [reply.add_block(index or 0, raw) for raw in each(message.content)]
                deltas = [delta for block in blocks for delta in neutral.of_block(block)]
                return deltas + neutral.of_logprobs(document.logprobs)
            case "tool-plan-delta":
                reply.add_plan(message.tool_plan or "")
            case "tool-call-start" | "tool-call-delta":
                return [delta for raw in each(message.tool_calls) for delta in self._call(index, raw)]
            case "tool-call-end" if reply.calls.calls:
                call, _ = reply.calls.place(index, "", "")
                return neutral.end_of_call(call)
            case "citation-start":
                reply.citations += each(message.citations)
            case "message-end":
                return neutral.endings_of(reply)
            case _:
                # message-start says who speaks, and the ends of blocks and citations nothing that is not known.
                pass
        return []

    def _close(self) -> None:
        if self._reply.meaning is None:
            what = "was cut off before its finish" if self._has_info else "holds no event"
            self._fail(broken_answer(self._facts, what))


class ChatBodyReader(ChatReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a body says nothing before its end."""
        self._body.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the body."""
        pieces = Pieces()
        self.is_done = True
        body = b"".join(self._body).removeprefix(BOM).strip()
        document = self._decode(body)
        if document is None:
            return pieces
        if not is_said(document.message):
            self._fail(broken_answer(self._facts, "holds no message"))
            return pieces
        self._begin(document, pieces)
        try:
            deltas = self._read(document, document.message)
        except msgspec.DecodeError:
            self._fail(broken_answer(self._facts, "holds a message that cannot be read"))
            return Pieces()
        if self._is_native:
            pieces.native.append(body)
        else:
            pieces.deltas += deltas
        return pieces

    def _read(self, document: Document, raw: msgspec.Raw) -> list[Delta]:
        reply, message = self._reply, MESSAGE.decode(raw)
        if reply.meaning is None:
            reply.meaning, reply.is_known = "stop", False
        deltas: list[Delta] = []
        for index, part in enumerate(parts_of(message)):
            deltas += neutral.of_block(reply.add_block(index, part))
        reply.add_plan(message.tool_plan or "")
        calls = each(message.tool_calls)
        for index, part in enumerate(calls):
            deltas += self._call(index, part)
            # A call that was cut before its arguments must not look like one that needs none (quirk 20).
            if reply.meaning != "length" or index < len(calls) - 1:
                deltas += neutral.end_of_call(reply.calls.calls[-1])
        reply.citations += each(message.citations)
        if all(call.id for call in reply.calls.calls):
            reply.raw = bytes(raw)
        return [*deltas, *neutral.of_logprobs(document.logprobs), *neutral.endings_of(reply)]
