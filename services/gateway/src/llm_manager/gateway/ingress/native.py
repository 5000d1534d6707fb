"""Streams of a provider that speaks the client's dialect: whole events pass as they came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.inference.rules import Outcome, Piece

EVENT_STREAM, NDJSON = "text/event-stream; charset=utf-8", "application/x-ndjson"


class Fails(Protocol):
    """Writes the end of a broken stream; see `writer.AnswerWriter.fail`."""

    def __call__(self, error: LlmManagerError, *, request_id: str) -> bytes: ...


class NativeEvents:
    """A writer of events that are in the client's dialect already; the protocol is `writer.AnswerWriter`.

    Args:
        frame: puts one event, a JSON document, into the dialect's framing.
        end: what follows the last event.
    """

    def __init__(
        self,
        frame: Callable[[bytes], bytes],
        *,
        fail: Fails,
        ping: bytes,
        media_type: str = EVENT_STREAM,
        end: bytes = b"",
    ) -> None:
        self.media_type = media_type
        self.ping = ping
        self._frame = frame
        self._fail = fail
        self._end = end

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        return b"".join(map(self._frame, piece.native))

    def finish(self, outcome: Outcome) -> bytes:  # noqa: ARG002 # the provider's own events say what was used
        """See `writer.AnswerWriter`."""
        return self._end

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `writer.AnswerWriter`."""
        return self._fail(error, request_id=request_id)
