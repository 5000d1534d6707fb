"""Newline-delimited JSON, read incrementally."""

from __future__ import annotations

from llm_manager.core.errors import UpstreamProtocolError

MAX_LINE_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class NdjsonDecoder:
    """Turns bytes, split anywhere, into lines. Blank lines, CR before LF and a byte order mark are dropped.

    Args:
        max_line_bytes: bound of one line, so that a stream without a line end cannot fill the memory.
    """

    __slots__ = ("_at_start", "_max", "_pieces", "_size")

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, stripped of white space.

        Raises:
            UpstreamProtocolError: one line is larger than the bound.
        """
        if b"\n" not in data:
            self._keep(data)
            return []
        head, *middle, tail = data.split(b"\n")
        self._keep(head)
        lines = [b"".join(self._pieces), *middle]
        self._pieces, self._size = [], 0
        self._keep(tail)
        return self._clean(lines)

    def finish(self) -> list[bytes]:
        """Return the line that the end of the stream left open, if any. The decoder is spent afterwards."""
        line = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return self._clean([line])

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max:
            raise UpstreamProtocolError(f"The provider sent a line of more than {self._max} bytes without an end.")
        if piece:
            self._pieces.append(piece)

    def _clean(self, lines: list[bytes]) -> list[bytes]:
        if self._at_start and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        return [stripped for line in lines if (stripped := line.strip())]
