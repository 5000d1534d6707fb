"""What comes where a stream was asked for: events, or one document."""

from __future__ import annotations

from llm_manager.kit.lenient_json import Start
from llm_manager.kit.sse import SseDecoder, SseEvent


class EventStream:
    """Turns bytes, split anywhere, into events; keeps what begins as a JSON object instead.

    Some servers answer a stream with one document: a failure with status 200, or a whole answer. What may come of it
    is bounded by who reads the bytes (`client.MAX_BODY_BYTES`).
    """

    __slots__ = ("_decoder", "_document", "_start")

    def __init__(self) -> None:
        self._decoder = SseDecoder()
        self._start: Start | None = Start()
        self._document: bytearray | None = None

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that these bytes complete.

        Raises:
            UpstreamProtocolError: see `SseDecoder.feed`.
        """
        if self._start is not None:
            data = self._start.feed(data)
            if not data:
                return []
            self._start = None
            self._document = bytearray() if data[:1] == b"{" else None
        if self._document is not None:
            self._document += data
            return []
        return self._decoder.feed(data)

    def finish(self) -> list[SseEvent]:
        """Return the event that the end of the stream left open, if any."""
        return [] if self._document is not None else self._decoder.finish()

    @property
    def document(self) -> bytes | None:
        """What came instead of events; None for a stream. Only at the end."""
        return None if self._document is None else bytes(self._document)
