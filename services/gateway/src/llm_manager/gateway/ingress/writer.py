"""What every client dialect gives to the shared way of a streamed answer."""

from __future__ import annotations

from typing import Protocol

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.inference.rules import Outcome, Piece


class AnswerWriter(Protocol):
    """Writes one streamed answer in a client's dialect, framing included. Pure; one for each answer."""

    @property
    def media_type(self) -> str:
        """Content type of the stream, for example text/event-stream; charset=utf-8."""
        ...

    @property
    def ping(self) -> bytes:
        """What keeps a silent connection alive and every client of the dialect ignores; empty when nothing does."""
        ...

    def write(self, piece: Piece) -> bytes:
        """Return what the client gets for a piece; empty when it has to wait for more."""
        ...

    def finish(self, outcome: Outcome) -> bytes:
        """Return the end of a good answer: usage, terminal event.

        Raises:
            UpstreamProtocolError: the answer is not whole.
        """
        ...

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """Return the end of an answer that broke after its first byte. Never a finish that looks like success."""
        ...
