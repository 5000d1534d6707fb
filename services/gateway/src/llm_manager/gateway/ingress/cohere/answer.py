"""Whole answers in Cohere's dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.cohere.content import Content
from llm_manager.gateway.ingress.cohere.usage import chat_usage

# Any: JSON documents are built here
Json = dict[str, Any]


class Answer:
    """Collects neutral steps into one answer.

    Args:
        fallback: describes the answer where the provider does not.
    """

    def __init__(self, fallback: AnswerInfo) -> None:
        self._id = fallback.id
        self._content = Content()

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        if piece.info is not None and piece.info.id:
            self._id = piece.info.id
        for delta in piece.deltas:
            self._content.add(delta)

    def body(self, outcome: Outcome) -> bytes:
        """Render the answer.

        Raises:
            UpstreamProtocolError: the answer does not say why it ended, so it is not whole.
        """
        content = self._content
        members: Json = {
            "id": self._id,
            "finish_reason": content.finish_reason,
            "message": content.message,
            "usage": chat_usage(outcome.report),
        }
        if logprobs := content.logprobs:
            members["logprobs"] = logprobs
        return msgspec.json.encode(members)
