"""Streamed answers as Cohere's named events (wire.md section 4)."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.cohere.content import Block, Content
from llm_manager.gateway.ingress.cohere.errors import DONE, failure_event
from llm_manager.gateway.ingress.cohere.usage import chat_usage
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.kit.sse import comment, data_event

# Any: JSON documents are built here
Json = dict[str, Any]
# The dialect has no word for it; its SDKs drop comments, as the standard asks.
PING = comment("ping")
_EMPTY: Json = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}


class _Named(msgspec.Struct, frozen=True):
    type: str = ""


_NAMED = msgspec.json.Decoder(_Named)


def native_event(document: bytes) -> bytes:
    """Frame an event of a provider that speaks the dialect: its name is the document's own type."""
    try:
        name = _NAMED.decode(document).type
    except msgspec.DecodeError as error:
        raise UpstreamProtocolError("The provider's stream holds an event that is no JSON object; retry.") from error
    # clients read the type as well, so an event without one is as good without a name
    return data_event(document, event=name or None)


class ChatEvents:
    """Writes events from neutral steps; the protocol is `writer.AnswerWriter`.

    One block or call is open at a time, as in Cohere's own streams: what comes for a later one waits until the one
    before it is whole. Citations come behind the text, because providers name them at any time.

    Args:
        fallback: describes the answer where the provider does not.
    """

    media_type = EVENT_STREAM
    ping = PING

    def __init__(self, fallback: AnswerInfo) -> None:
        self._fallback = fallback
        self._content = Content()
        self._has_started = False
        self._is_open = False
        self._closed = 0
        self._written = 0
        self._weighed = 0

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        events: list[bytes] = []
        if piece.info is not None or piece.deltas:
            self._start(piece.info, events)
        for delta in piece.deltas:
            self._content.add(delta)
            self._pump(events)
        return b"".join(events)

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        content = self._content
        delta: Json = {"finish_reason": content.finish_reason, "usage": chat_usage(outcome.report)}
        events: list[bytes] = []
        if content.plan:
            events.append(_event("tool-plan-delta", {"tool_plan": content.plan}))
        for index, citation in enumerate(content.citations):
            events.append(_event("citation-start", {"citations": citation}, index=index))
            events.append(_event("citation-end", index=index))
        if extension := content.extension:
            delta = {"message": extension, **delta}
        end = msgspec.json.encode({"type": "message-end", "delta": delta})
        return b"".join(events) + data_event(end, event="message-end") + DONE

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `writer.AnswerWriter`."""
        return failure_event(error, request_id=request_id)

    def _start(self, info: AnswerInfo | None, events: list[bytes]) -> None:
        if self._has_started:
            return
        self._has_started = True
        answer_id = (info.id if info is not None else "") or self._fallback.id
        document = {"id": answer_id, "type": "message-start", "delta": {"message": _EMPTY}}
        events.append(data_event(msgspec.json.encode(document), event="message-start"))

    def _pump(self, events: list[bytes]) -> None:
        """Write what may be written now."""
        content = self._content
        while self._closed < len(content.blocks):
            block = content.blocks[self._closed]
            self._write_block(block, events)
            is_last = self._closed == len(content.blocks) - 1
            if not content.is_finished and (is_last or not block.is_whole):
                return
            self._close(block, events)
            self._closed += 1

    def _write_block(self, block: Block, events: list[bytes]) -> None:
        if not self._is_open:
            self._is_open = True
            events.append(_opening(block))
        if self._written or not block.is_unsaid:
            events += [_more(block, text) for text in block.written[self._written :]]
            self._written = len(block.written)
        for item in block.logprobs[self._weighed :]:
            events.append(_more(block, "", logprobs=item))
        self._weighed = len(block.logprobs)

    def _close(self, block: Block, events: list[bytes]) -> None:
        if block.is_unsaid:
            events.append(_more(block, block.text))
        events.append(_event("tool-call-end" if block.kind == "call" else "content-end", index=block.index))
        self._is_open = False
        self._written = self._weighed = 0


def _opening(block: Block) -> bytes:
    if block.kind == "call":
        call = {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": ""}}
        return _event("tool-call-start", {"tool_calls": call}, index=block.index)
    return _event("content-start", {"content": {"type": block.kind, block.kind: ""}}, index=block.index)


def _more(block: Block, text: str, *, logprobs: Json | None = None) -> bytes:
    if block.kind == "call":
        return _event("tool-call-delta", {"tool_calls": {"function": {"arguments": text}}}, index=block.index)
    return _event("content-delta", {"content": {block.kind: text}}, index=block.index, logprobs=logprobs)


def _event(name: str, message: Json | None = None, *, index: int | None = None, logprobs: Json | None = None) -> bytes:
    document: Json = {"type": name}
    if index is not None:
        document["index"] = index
    if message is not None:
        document["delta"] = {"message": message}
    if logprobs is not None:
        document["logprobs"] = logprobs
    return data_event(msgspec.json.encode(document), event=name)
