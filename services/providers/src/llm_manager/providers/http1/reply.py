"""One answer as it arrives: what the parser calls on one side, what the reader takes on the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# All headers together, and what may come of a body in the packet with their end.
MAX_HEAD_BYTES = 256 * 1024
# Above this a reader that is slow stops the connection, below half of it the connection goes on.
_MUCH_BYTES = 256 * 1024


class Closed(ConnectionError):
    """The other side closed the connection before it answered."""


class BrokenReply(Exception):
    """An answer ended before its end; the text says how."""


class Flow(Protocol):
    """What an answer asks of its connection."""

    def pause(self) -> None:
        """Read no more for now."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class Reply:
    """One answer. The connection feeds it; whoever asked awaits `head`, then reads until the empty end.

    `headers` have names in lower case; of repeated ones the last counts.
    """

    __slots__ = (
        "_failure",
        "_flow",
        "_head_size",
        "_is_interim",
        "_is_paused",
        "_parser",
        "_pieces",
        "_size",
        "_waiter",
        "has_head",
        "headers",
        "is_complete",
        "is_reusable",
        "status",
    )

    def __init__(self, flow: Flow) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = False
        self.is_complete = False
        # whether the connection can serve another request after this one
        self.is_reusable = False
        self._flow = flow
        self._parser = HttpResponseParser(self)
        # what home-made servers do, and every client forgives
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._head_size = 0
        self._is_interim = False
        self._is_paused = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.is_complete or self._failure is not None

    @property
    def is_spent(self) -> bool:
        """Whether it ended well, was read to its end, and leaves a connection that serves others."""
        return self.is_complete and self.is_reusable and not self._pieces

    async def head(self) -> None:
        """Wait for status and headers.

        Raises:
            Closed: the connection was closed before.
            HttpParserError: what came is no head of HTTP.
        """
        while not self.has_head:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    async def read(self) -> bytes:
        """Return what has come of the body, empty at its end.

        Raises:
            BrokenReply: it ended too early; what had come was returned before.
        """
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self.is_complete:
                return b""
            await self._wait()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._flow.resume()
        return data

    def feed(self, data: bytes) -> bool:
        """Take bytes of the connection; False when it must be closed, because nobody could tell what comes next."""
        if not self.has_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._fail(HttpParserError(f"more than {MAX_HEAD_BYTES} bytes of headers"))
                return False
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            # behind the end of an answer it spoils nothing but the connection
            self._fail(BrokenReply("its bytes are not HTTP") if self.has_head else error)
            self.is_reusable = False
            return False
        return self._failure is None

    def lose(self, error: Exception | None) -> None:
        """Note that the connection is gone: the end of an answer that has no other, too early for all others."""
        self.is_reusable = False
        if not self.has_head:
            self._fail(error if isinstance(error, OSError) else Closed("closed"))
        elif "content-length" in self.headers or "transfer-encoding" in self.headers:
            self._fail(BrokenReply(type(error or Closed()).__name__))
        else:
            self.is_complete = True
            self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (the parser's call)."""
        self.headers[name.decode("latin-1").lower()] = value.decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        """Take the end of the headers (the parser's call); interim answers (1xx) are passed over."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._is_interim = True
            self.headers = {}
            return
        self.status, self.has_head = status, True
        self._wake()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body (the parser's call)."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _MUCH_BYTES and not self._is_paused:
            self._is_paused = True
            self._flow.pause()
        self._wake()

    def on_message_begin(self) -> None:
        """Take the begin of an answer (the parser's call); a second one was asked by nobody."""
        if self.is_complete:
            raise BrokenReply("a second answer")

    def on_message_complete(self) -> None:
        """Take the end of the body (the parser's call)."""
        if self._is_interim:
            self._is_interim = False
            return
        self.is_complete = True
        self.is_reusable = self._parser.should_keep_alive()
        self._wake()

    def let_go(self) -> None:
        """Forget the parser, which holds this: without it a reply is freed at once, not by the collector. Last call."""
        del self._parser

    def _fail(self, error: Exception) -> None:
        if not self.is_over:
            self._failure = error
            self._wake()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
