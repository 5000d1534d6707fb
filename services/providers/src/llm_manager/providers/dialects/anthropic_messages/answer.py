"""Reads Anthropic's messages: streams, whole answers, and failures in either."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import msgspec
from msgspec.structs import replace

from llm_manager.core.deltas import AnswerInfo, Delta
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts, FinishMeaning
from llm_manager.core.usage import UsageReport, UsageSource
from llm_manager.kit.lenient_json import BOM, Mender
from llm_manager.providers.dialects.anthropic_messages import neutral
from llm_manager.providers.dialects.anthropic_messages.blocks import Blocks
from llm_manager.providers.dialects.anthropic_messages.events import (
    BLOCK_DELTA,
    ENDING,
    EVENT,
    MESSAGE,
    TIERED,
    TYPED,
    Event,
    Message,
    compact,
    is_said,
)
from llm_manager.providers.dialects.anthropic_messages.usage import Usage
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.event_stream import EventStream
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.port import NewId, Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer, error_in_stream, failed_finish
from llm_manager.providers.dialects.usage_report import read_report

# OpenAI's word for the tier that is everybody's.
_TIERS = {"standard": "default"}
_KNOWN = frozenset(
    {
        "", "error", "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    }
)  # fmt: skip


class ChatReader(ABC):
    """Shared by streams and whole answers; the protocol is `port.AnswerReader`."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        self._facts = facts
        self._is_native = is_native
        self._new_id = new_id
        self._blocks = Blocks()
        self._usage = Usage()
        self._meaning: FinishMeaning | None = None
        self._is_known = True
        self.native_finish_reason = ""
        self.written = Written()
        self.error: LlmManagerError | None = None
        self.is_done = False
        self.response_model = ""

    @property
    def finish_reason(self) -> str:
        """See `port.AnswerReader`."""
        if self._meaning is None or self._meaning == "error":
            return ""
        return neutral_reason(self._meaning, has_tool_calls=self._blocks.has_calls)

    @property
    def unknown_finish_reasons(self) -> list[str]:
        """See `port.AnswerReader`."""
        return [] if self._is_known else [self.native_finish_reason]

    @abstractmethod
    def feed(self, data: bytes) -> Pieces:
        """See `port.AnswerReader`."""

    @abstractmethod
    def finish(self) -> Pieces:
        """See `port.AnswerReader`."""

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        raw = self._usage.raw
        report = read_report(self._facts.usage, raw) if raw else None
        if report is None or self._usage.is_last:
            return report
        # The stream broke off: its first report knows the prompt, and nothing of what was written after it.
        prompt = replace(report.usage, output_text=0, output_reasoning=0)
        return replace(report, usage=prompt, source=UsageSource.ESTIMATED)

    def _begin(self, message: Message, pieces: Pieces, *, is_whole: bool) -> None:
        self.response_model = message.model or ""
        tier = ""
        if is_said(message.usage):
            self._usage.add(bytes(message.usage), is_last=is_whole)
            tier = TIERED.decode(message.usage).service_tier or ""
        if not self._is_native:
            # Anthropic does not say when it answered
            pieces.info = AnswerInfo(
                id=message.id or self._new_id(),
                model=self.response_model,
                created=int(time.time()),
                service_tier=_TIERS.get(tier, tier),
            )

    def _end(self, reason: str | None) -> None:
        if not reason:
            return
        self.native_finish_reason = reason
        self._meaning, self._is_known = meaning_of(self._facts, reason)
        if self._meaning == "error":
            self._fail(failed_finish(self._facts, reason))

    def _fail(self, error: LlmManagerError) -> None:
        self.error = self.error or error


class ChatStreamReader(ChatReader):
    """Reads a stream of named events."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._stream = EventStream()
        self._mender = Mender()
        self._has_message = False

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        pieces = Pieces()
        for event in self._stream.feed(data):
            self._take(event.data, pieces)
        return pieces

    def finish(self) -> Pieces:
        """Take the end of the stream; without `message_stop` it was cut."""
        pieces, document = Pieces(), self._stream.document
        if document is not None:
            what = broken_answer(self._facts, "is no stream of events, as was asked for")
            self._fail(error_in_stream(self._facts, document) if _is_failure(document) else what)
            return pieces
        for event in self._stream.finish():
            self._take(event.data, pieces)
        if not self.is_done:
            what = "was cut off before its end" if self._has_message else "holds no message"
            self._fail(broken_answer(self._facts, what))
        return pieces

    def _take(self, text: str, pieces: Pieces) -> None:
        if self.is_done or not text:
            return
        data = self._mender.event(text.encode())
        try:
            event = EVENT.decode(data)
            self._read(event, data, pieces)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if not _is_strange(data):
                self._fail(broken_answer(self._facts, "holds an event that cannot be read"))
                return
        if self.error is None and self._is_native:
            pieces.native.append(compact(data))

    def _read(self, event: Event, data: bytes, pieces: Pieces) -> None:
        if is_said(event.usage):
            self._usage.add(bytes(event.usage), is_last=True)
        if event.type == "error":
            self._fail(error_in_stream(self._facts, data))
        if self.error is not None:
            return
        deltas: list[Delta] = []
        match event.type:
            case "message_start":
                self._has_message = True
                self._begin(event.message or Message(), pieces, is_whole=False)
            case "message_delta" if is_said(event.delta):
                self._end(ENDING.decode(event.delta).stop_reason)
            case "message_stop":
                deltas = self._stop()
            case _:
                deltas = self._read_block(event)
        if not self._is_native and self.error is None:
            pieces.deltas += deltas

    def _read_block(self, event: Event) -> list[Delta]:
        """Read an event of a block; ping, and what will be invented, says nothing in neutral words."""
        if event.type == "content_block_start" and is_said(event.content_block) and event.index is not None:
            return neutral.beginning_of(
                self._blocks.begin(event.index, event.content_block), self._new_id, self.written
            )
        block = self._blocks.at(event.index)
        if block is None:
            return []
        if event.type == "content_block_delta" and is_said(event.delta):
            delta = BLOCK_DELTA.decode(event.delta)
            block.add(delta, event.delta)
            return neutral.more_of(block, delta, self.written)
        return neutral.end_of(block) if event.type == "content_block_stop" else []

    def _stop(self) -> list[Delta]:
        self.is_done = True
        if self._meaning is None:
            self._fail(broken_answer(self._facts, "ended without saying why"))
            return []
        return neutral.endings_of(self._blocks, self._meaning, self.native_finish_reason)


class ChatBodyReader(ChatReader):
    """Reads a whole answer."""

    def __init__(self, facts: Facts, *, is_native: bool, new_id: NewId) -> None:
        super().__init__(facts, is_native=is_native, new_id=new_id)
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a body says nothing before its end."""
        self._data.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the body."""
        self.is_done = True
        body, pieces = b"".join(self._data).removeprefix(BOM).strip(), Pieces()
        try:
            message = MESSAGE.decode(body)
            if message.content is None:
                is_failure = _is_failure(body)
                what = broken_answer(self._facts, "holds no content")
                self._fail(error_in_stream(self._facts, body) if is_failure else what)
                return pieces
            self._begin(message, pieces, is_whole=True)
            self._end(message.stop_reason)
            for index, raw in enumerate(message.content):
                block = self._blocks.begin(index, raw)
                pieces.deltas += neutral.beginning_of(block, self._new_id, self.written)
                pieces.deltas += neutral.end_of(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._fail(broken_answer(self._facts, "is not the JSON of a message"))
        if self._meaning is None:
            self._fail(broken_answer(self._facts, "ended without saying why"))
        if self.error is not None or self._meaning is None:
            return Pieces()
        if self._is_native:
            return Pieces(native=[body])
        pieces.deltas += neutral.endings_of(self._blocks, self._meaning, self.native_finish_reason)
        return pieces


def _is_strange(data: bytes) -> bool:
    """Return whether an event is of a kind that this reader does not know, so that it may look like anything."""
    try:
        return TYPED.decode(data).type not in _KNOWN
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _is_failure(body: bytes) -> bool:
    try:
        return TYPED.decode(body).type == "error"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
