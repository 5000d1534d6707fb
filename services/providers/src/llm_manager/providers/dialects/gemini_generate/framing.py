"""Cuts an answer into its JSON documents, however the server frames them.

Asked with `alt=sse` it is server-sent events with CRLF; without, one JSON array; a failure is one document under the
content type of a stream (recordings, quirks 1, 2 and 7). The first byte tells which.
"""

from __future__ import annotations

import re

from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.kit.lenient_json import Start
from llm_manager.kit.sse import MAX_EVENT_BYTES, SseDecoder

_STRUCTURE = re.compile(rb'["\\{}]')
_QUOTE, _BACKSLASH, _OPEN, _CLOSE = b'"\\{}'


class Documents:
    """Turns bytes, split anywhere, into JSON documents."""

    def __init__(self) -> None:
        self._frames: SseDecoder | JsonObjects | None = None
        self.is_one_object = False
        self._start = Start()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the documents that these bytes complete.

        Raises:
            UpstreamProtocolError: one document is larger than the bound of an event.
        """
        if self._frames is None:
            data = self._start.feed(data)
            if not data:
                return []
            self.is_one_object = data[:1] == b"{"
            self._frames = JsonObjects() if data[:1] in (b"{", b"[") else SseDecoder()
        if isinstance(self._frames, JsonObjects):
            return self._frames.feed(data)
        return [event.data.encode() for event in self._frames.feed(data) if event.data]

    def finish(self) -> list[bytes]:
        """Return what the end of the answer left open: an event without its blank line, or half a document."""
        if isinstance(self._frames, SseDecoder):
            return [event.data.encode() for event in self._frames.finish() if event.data]
        return [] if self._frames is None else self._frames.finish()


class JsonObjects:
    """Finds whole JSON objects in a JSON array, or one after the other; what stands between them is skipped.

    Args:
        max_bytes: bound of one object, so that one without an end cannot fill the memory.
    """

    def __init__(self, *, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_bytes
        self._open = bytearray()
        self._depth = 0
        self._is_in_text = False
        self._is_escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the objects that these bytes complete, each byte for byte.

        Raises:
            UpstreamProtocolError: one object is larger than the bound.
        """
        objects: list[bytes] = []
        begin = 0
        at = 1 if self._is_escaped and data else 0
        self._is_escaped = self._is_escaped and not data
        while (found := _STRUCTURE.search(data, at)) is not None:
            at = found.end()
            mark = data[at - 1]
            if self._is_in_text:
                if mark == _BACKSLASH:
                    self._is_escaped = at == len(data)
                    at += 1
                self._is_in_text = mark != _QUOTE
            elif mark == _QUOTE:
                self._is_in_text = self._depth > 0
            elif mark == _OPEN:
                begin = at - 1 if self._depth == 0 else begin
                self._depth += 1
            elif mark == _CLOSE and self._depth:
                self._depth -= 1
                if self._depth == 0:
                    objects.append(bytes(self._open + data[begin:at]))
                    self._open.clear()
        if self._depth:
            self._open += data[begin:]
        if len(self._open) > self._max:
            raise UpstreamProtocolError(f"The provider sent a document of more than {self._max} bytes without an end.")
        return objects

    def finish(self) -> list[bytes]:
        """Return the object that has no end, if any."""
        return [bytes(self._open)] if self._open else []
