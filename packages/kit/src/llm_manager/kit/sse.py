"""Server-sent events, read incrementally and written. Source: WHATWG HTML, section 9.2 (read 2026-11)."""

from __future__ import annotations

import msgspec

from llm_manager.core.errors import UpstreamProtocolError

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class SseEvent(msgspec.Struct, frozen=True):
    """One event. `data` has its lines joined by LF; `event` is None when the stream did not name one."""

    event: str | None
    data: str
    id: str | None = None


class SseDecoder:
    """Turns bytes, split anywhere, into events.

    Accepts LF, CR and CRLF, comments, a byte order mark, and a last event without its blank line: providers close
    the connection right after it. Bytes that are no UTF-8 become U+FFFD, as the standard asks.

    Args:
        max_event_bytes: bound of one event, so that a stream without a line end cannot fill the memory.
    """

    __slots__ = ("_at_start", "_data", "_event", "_id", "_max", "_open", "_open_size", "_size", "_skip_lf")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._at_start = True
        self._skip_lf = False
        self._open: list[bytes] = []  # pieces of the line that has not ended yet; joined once, when it ends
        self._open_size = 0
        self._event: str | None = None
        self._id: str | None = None
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that these bytes complete.

        Raises:
            UpstreamProtocolError: one event is larger than the bound.
        """
        events: list[SseEvent] = []
        for line in self._lines(data):
            self._take(line, events)
        if self._open_size + self._size > self._max:
            raise UpstreamProtocolError(f"The provider sent an event of more than {self._max} bytes without an end.")
        return events

    def finish(self) -> list[SseEvent]:
        """Return the event that the end of the stream left open, if any. The decoder is spent afterwards."""
        events: list[SseEvent] = []
        line = b"".join(self._open)
        self._open, self._open_size = [], 0
        if self._at_start:
            line = line.removeprefix(_BOM)
        for last in (line, b""):
            self._take(last, events)
        return events

    def _lines(self, data: bytes) -> list[bytes]:
        if self._skip_lf and data:
            # the CR that ended the last piece already ended its line
            data = data[1:] if data[:1] == b"\n" else data
            self._skip_lf = False
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        last = lines.pop()
        if lines and self._open:
            lines[0] = b"".join((*self._open, lines[0]))
            self._open, self._open_size = [], 0
        if last:
            self._open.append(last)
            self._open_size += len(last)
        if lines and self._at_start:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        return lines

    def _take(self, line: bytes, events: list[SseEvent]) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value)
        elif not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(SseEvent(self._event, data.decode("utf-8", "replace"), self._id))
                self._data = []
                self._size = 0
            self._event = None
        elif not line.startswith(b":"):
            self._take_field(line)

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"event":
            self._event = text or None
        elif name == b"id" and "\0" not in text:
            self._id = text
        elif name == b"data":  # a line "data" without a colon is an empty line of data
            self._data.append(b"")


def data_event(payload: bytes, *, event: str | None = None) -> bytes:
    """Write one event. A payload of several lines becomes several `data:` lines, as the standard asks."""
    head = b"" if event is None else b"event: %b\n" % event.encode()
    if b"\n" in payload or b"\r" in payload:
        lines = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        return head + b"".join(b"data: %b\n" % line for line in lines) + b"\n"
    return b"%bdata: %b\n\n" % (head, payload)


def comment(text: str) -> bytes:
    """Write a comment, which clients drop: it keeps the connection alive. Line ends in the text become spaces."""
    return b": %b\n\n" % " ".join(text.splitlines()).encode()
