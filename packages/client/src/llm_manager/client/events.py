"""Server-sent events, from bytes to JSON."""

from __future__ import annotations

import json
from typing import Any, Self

from .errors import ProtocolError, error_of_event

_DONE = b"[DONE]"
_LARGEST_EVENT = 64 * 2**20


class Number(float):
    """A number with a fraction as it was written, so that amounts of money stay exact: `Decimal(number.text)`."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a number."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        """Let it be copied: a float alone would forget how it was written."""
        return (Number, (self.text,))


class EventReader:
    """Reads a stream piece by piece; `is_over` is set at `[DONE]`.

    It splits at CR and LF only. Text decoders split at U+2028 and others too, which may stand inside of JSON.
    """

    def __init__(self, request_id: str | None) -> None:
        self.is_over = False
        self._request_id = request_id
        self._open = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Any]:
        """Take bytes and return the events that they complete; comments (heartbeats) are none.

        What is wrong is returned as the exception that it is, and ends the stream, so that the events before it are
        not lost: what an error event says, or ProtocolError for an event that is no JSON.

        Raises:
            ProtocolError: an event is larger than anything that the platform sends.
        """
        self._open += piece
        if len(self._open) + self._size > _LARGEST_EVENT:
            raise self._broken("An event of the stream is too large.")
        if b"\n" not in piece and b"\r" not in piece:
            return []
        # a CR at the end may be half of a line end
        held = b"\r" if self._open.endswith(b"\r") else b""
        text = bytes(self._open).removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._open = bytearray(rest + held)
        events: list[Any] = []
        for line in lines:
            self._take(line, events)
            if self.is_over:
                break
        return events

    def end(self) -> None:
        """Say that nothing more comes.

        Raises:
            ProtocolError: it was cut off before its end.
        """
        if not self.is_over:
            raise self._broken("The stream was cut off before its end; what came of the answer is not whole.")

    def _take(self, line: bytes, events: list[Any]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
        elif not line and self._data:
            data, self._data, self._size = b"\n".join(self._data), [], 0
            if data.strip() == _DONE:
                self.is_over = True
                return
            events.append(self._decoded(data))
            self.is_over = isinstance(events[-1], Exception)

    def _decoded(self, data: bytes) -> Any:
        try:
            event = json.loads(data, parse_float=Number)
        except (ValueError, RecursionError):
            return self._broken("An event of the stream is no JSON.")
        return error_of_event(event, request_id=self._request_id) or event

    def _broken(self, message: str) -> ProtocolError:
        return ProtocolError(message, request_id=self._request_id)
