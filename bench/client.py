"""A load generator's HTTP client: one asyncio protocol for a connection, cheap beside what it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

from bench.upstream import STAMP


class Broken(Exception):
    """The connection ended, or an answer was not 200."""


@dataclass(slots=True)
class Answer:
    """One answer; times in nanoseconds of the monotonic clock."""

    first_byte_at: int
    ended_at: int
    chunk_delays: list[int]


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._first, self._now = 0, 0
        self._delays: list[int] = []
        self._refused: list[bytes] = []
        self._on_chunk: Callable[[], None] | None = None
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken(f"connection lost: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Parse, and take the delay of every stamp."""
        self._now = time.monotonic_ns()
        if not self._first:
            self._first = self._now
        for stamp in STAMP.findall(data):
            self._delays.append(self._now - int(stamp))
        if self._on_chunk is not None:
            self._on_chunk()
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep what explains a refusal."""
        if self._parser.get_status_code() != 200:
            self._refused.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to who waits."""
        waiter, status = self._waiter, self._parser.get_status_code()
        if waiter is None or waiter.done():
            return
        if status != 200:
            waiter.set_exception(Broken(f"status {status}: {b''.join(self._refused)[:300]!r}"))
        else:
            waiter.set_result(Answer(self._first, self._now, self._delays))
        if not self._parser.should_keep_alive():
            self.close()

    def send(self, request: bytes, on_chunk: Callable[[], None] | None = None) -> asyncio.Future[Answer]:
        """Send a request; the future gives its answer."""
        self._first, self._delays, self._refused, self._on_chunk = 0, [], [], on_chunk
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._transport.abort()


class Target:
    """Where requests of one subject go."""

    def __init__(self, base_url: str, headers: Mapping[str, str], model: str) -> None:
        parts = urlsplit(base_url)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 80, parts.path
        self.model = model
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def request(self, path: str, body: bytes | None) -> bytes:
        """Return a whole request."""
        method = "GET" if body is None else "POST"
        head = f"{method} {self.path}{path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{self._headers}"
        if body is not None:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + (body or b"")

    async def connect(self) -> Connection:
        """Open a connection."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            _, protocol = await loop.create_connection(Connection, self.host, self.port)
        return protocol
