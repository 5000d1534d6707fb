"""Answers in Gemini's dialect, whole and streamed."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.gemini.content import Candidates
from llm_manager.gateway.ingress.gemini.framing import Framing
from llm_manager.gateway.ingress.gemini.usage import usage_metadata

# Any: JSON documents are built here
Json = dict[str, Any]


class Answer:
    """Collects neutral steps into one answer.

    Args:
        fallback: describes the answer where the provider does not.
    """

    def __init__(self, fallback: AnswerInfo) -> None:
        self._fallback = fallback
        self._info = fallback
        self._candidates = Candidates()

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        self._info = piece.info or self._info
        for delta in piece.deltas:
            self._candidates.add(delta)

    def body(self, outcome: Outcome) -> bytes:
        """Render the answer.

        Raises:
            UpstreamProtocolError: the answer does not say why it ended, so it is not whole.
        """
        return _document(self._candidates.whole(), outcome, _envelope(self._info, self._fallback))


class AnswerEvents:
    """Writes an answer piece by piece; the protocol is `writer.AnswerWriter`.

    Id and model are those of the first piece, and the same in every event. Counts are known at the end only, so the
    last event has them, beside the reasons why each candidate ended.
    """

    def __init__(self, fallback: AnswerInfo, framing: Framing) -> None:
        self.media_type = framing.media_type
        self.ping = framing.ping
        self._fallback = fallback
        self._framing = framing
        self._info: AnswerInfo | None = None
        self._candidates = Candidates()

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        self._info = self._info or piece.info
        for delta in piece.deltas:
            self._candidates.add(delta)
        news = self._candidates.news()
        if not news:
            return b""
        return self._framing.frame(msgspec.json.encode({"candidates": news, **self._about()}))

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        document = _document(self._candidates.endings(), outcome, self._about())
        return self._framing.frame(document) + self._framing.end

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `writer.AnswerWriter`."""
        return self._framing.fail(error, request_id=request_id)

    def _about(self) -> Json:
        self._info = self._info or self._fallback
        return _envelope(self._info, self._fallback)


def _document(candidates: list[Json], outcome: Outcome, about: Json) -> bytes:
    if not candidates:
        raise UpstreamProtocolError("The provider's answer holds nothing, not even why it ended; retry.")
    return msgspec.json.encode({"candidates": candidates, "usageMetadata": usage_metadata(outcome.report), **about})


def _envelope(info: AnswerInfo, fallback: AnswerInfo) -> Json:
    return {"modelVersion": info.model or fallback.model, "responseId": info.id or fallback.id}
