"""Whole answers in Anthropic's dialect."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.anthropic.content import Content
from llm_manager.gateway.ingress.anthropic.usage import message_usage, tier


class Answer:
    """Collects neutral steps into one message.

    Args:
        fallback: describes the answer where the provider does not.
        stops: the stop sequences that the client asked for.
    """

    def __init__(self, fallback: AnswerInfo, *, stops: Sequence[str] = ()) -> None:
        self._fallback = fallback
        self._info = fallback
        self._content = Content(stops)

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        self._info = piece.info or self._info
        for delta in piece.deltas:
            self._content.add(delta)

    def body(self, outcome: Outcome) -> bytes:
        """Render the message.

        Raises:
            UpstreamProtocolError: the answer does not say why it ended, so it is not whole.
        """
        content = self._content
        envelope = message_envelope(self._info, self._fallback)
        return msgspec.json.encode(
            {
                **envelope,
                "content": [block.whole for block in content.blocks],
                "stop_reason": content.stop_reason,
                "stop_sequence": content.stop_sequence,
                "usage": {**message_usage(outcome.report), **tier(self._info.service_tier)},
            }
        )


def message_envelope(info: AnswerInfo, fallback: AnswerInfo) -> dict[str, object]:
    """Return a message without content and end."""
    return {
        "id": info.id or fallback.id,
        "type": "message",
        "role": "assistant",
        "model": info.model or fallback.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
