"""How a stream is framed: server-sent events with `alt=sse`, else one JSON array."""

from __future__ import annotations

from typing import Protocol

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.ingress.gemini.errors import error_body
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.kit.sse import data_event


class Framing(Protocol):
    """Puts documents on the wire, one after the other; one for each answer."""

    media_type: str
    ping: bytes
    end: bytes

    def frame(self, document: bytes) -> bytes:
        """Frame the next document."""
        ...

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """Return the end of a broken stream."""
        ...


class EventFraming:
    """Server-sent events. Nothing says that they are over; the end of the connection does."""

    media_type = EVENT_STREAM
    # An empty line, not a comment: google-genai 3.4 (`_iter_response_stream`) takes a comment for JSON and breaks off.
    ping = b"\n"
    end = b""

    def frame(self, document: bytes) -> bytes:
        """See `Framing`."""
        return data_event(document)

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `Framing`."""
        return data_event(error_body(error, request_id=request_id))


class ArrayFraming:
    """One JSON array; an error is its last element, so that it stays JSON."""

    media_type = "application/json; charset=utf-8"
    # white space is nothing, wherever it stands between elements
    ping = b"\n"
    end = b"]"

    def __init__(self) -> None:
        self._has_begun = False

    def frame(self, document: bytes) -> bytes:
        """See `Framing`."""
        begin = b",\n" if self._has_begun else b"["
        self._has_begun = True
        return begin + document

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:
        """See `Framing`."""
        return self.frame(error_body(error, request_id=request_id)) + self.end
