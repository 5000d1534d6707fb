"""Streamed answers as Anthropic's named events (wire.md sections 2 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.anthropic.answer import message_envelope
from llm_manager.gateway.ingress.anthropic.content import Block, Content
from llm_manager.gateway.ingress.anthropic.errors import error_body
from llm_manager.gateway.ingress.anthropic.mark import MARK
from llm_manager.gateway.ingress.anthropic.usage import NOT_YET_KNOWN, message_usage, tier
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.kit.sse import data_event

# Any: JSON documents are built here
Json = dict[str, Any]

_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


class _Named(msgspec.Struct, frozen=True):
    type: str


_NAMED = msgspec.json.Decoder(_Named)


def native_event(document: bytes) -> bytes:
    """Frame an event of a provider that speaks the dialect: its name is the document's own type."""
    try:
        name = _NAMED.decode(document).type
    except msgspec.DecodeError as error:
        raise UpstreamProtocolError("The provider's stream holds an event without a type; retry.") from error
    return data_event(document, event=name)


def failure_event(error: LlmManagerError, *, request_id: str) -> bytes:
    """Return the event that ends a broken stream; without its name the SDKs would not see it (known-failures L-26)."""
    return data_event(error_body(error, request_id=request_id), event="error")


def _event(document: Json) -> bytes:
    return data_event(msgspec.json.encode(document), event=document["type"])


PING = _event({"type": "ping"})


class MessageEvents:
    """Writes events from neutral steps; the protocol is `writer.AnswerWriter`.

    One block is open at a time, as the SDKs want it: what comes for a later one waits until the block before it is
    whole. The counts of message_start are zero, because no other provider knows them at the start; message_delta has
    all of them.

    Args:
        fallback: describes the answer where the provider does not.
        stops: the stop sequences that the client asked for.
    """

    media_type = EVENT_STREAM
    ping = PING

    def __init__(self, fallback: AnswerInfo, *, stops: Sequence[str] = ()) -> None:
        self._fallback = fallback
        self._content = Content(stops)
        self._has_started = False
        self._is_open = False
        self._written = 0
        self._cited = 0

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        events: list[bytes] = []
        if piece.info is not None or piece.deltas:
            self._start(piece.info or self._fallback, events)
        for delta in piece.deltas:
            self._content.add(delta)
            self._pump(events)
        return b"".join(events)

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        content = self._content
        delta: Json = {"stop_reason": content.stop_reason, "stop_sequence": content.stop_sequence}
        usage = message_usage(outcome.report)
        return _event({"type": "message_delta", "delta": delta, "usage": usage}) + _event({"type": "message_stop"})

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `writer.AnswerWriter`."""
        return failure_event(error, request_id=request_id)

    def _start(self, info: AnswerInfo, events: list[bytes]) -> None:
        if not self._has_started:
            self._has_started = True
            usage = {**NOT_YET_KNOWN, **tier(info.service_tier)}
            message = {**message_envelope(info, self._fallback), "usage": usage}
            events += [_event({"type": "message_start", "message": message}), PING]

    def _pump(self, events: list[bytes]) -> None:
        """Write what may be written now."""
        content = self._content
        while content.closed < len(content.blocks):
            block = content.blocks[content.closed]
            self._write_block(block, content.closed, events)
            is_last = content.closed == len(content.blocks) - 1
            if not content.is_finished and (is_last or not block.is_whole):
                return
            self._close(block, content.closed, events)
            content.closed += 1

    def _write_block(self, block: Block, index: int, events: list[bytes]) -> None:
        if not self._is_open:
            self._is_open = True
            events.append(_event({"type": "content_block_start", "index": index, "content_block": block.opening}))
        if block.kind in _DELTAS and (self._written or not block.is_unsaid):
            name, field = _DELTAS[block.kind]
            events += [_delta(index, {"type": name, field: text}) for text in block.written[self._written :]]
            self._written = len(block.written)
        new = block.citations[self._cited :]
        events += [_delta(index, {"type": "citations_delta", "citation": citation}) for citation in new]
        self._cited = len(block.citations)

    def _close(self, block: Block, index: int, events: list[bytes]) -> None:
        if block.kind == "thinking":
            events.append(_delta(index, {"type": "signature_delta", "signature": MARK}))
        events.append(_event({"type": "content_block_stop", "index": index}))
        self._is_open = False
        self._written = self._cited = 0


def _delta(index: int, delta: Json) -> bytes:
    return _event({"type": "content_block_delta", "index": index, "delta": delta})
