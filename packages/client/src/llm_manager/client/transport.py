"""The way to a server, sync and async: deadlines, bounded retries, streams, and errors of this library only."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2

from . import wire
from .events import EventReader
from .wire import Outgoing, Reply

T = TypeVar("T")
_LIBRARY_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)


@dataclass(frozen=True)
class Answer:
    """An answer that is no refusal.

    Args:
        headers: with lower-case names.
        body: decoded JSON; None when empty; text for application/x-ndjson.
    """

    status: int
    headers: Mapping[str, str]
    body: Any


class Transport(Protocol):
    """Sends one request and waits for its answer; refusals are raised (errors.py)."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; fields of the query that are None are left out, `body` is sent as JSON."""
        ...


class AsyncTransport(Protocol):
    """The same for event loops."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; fields of the query that are None are left out, `body` is sent as JSON."""
        ...


class _Settings(ABC):
    """What both transports know; never changed after the start."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout_seconds: float = wire.DEADLINE_SECONDS,
        max_retries: int = 2,
    ) -> None:
        self.origin = wire.origin_of(base_url)
        self._authorization = wire.authorization_of(api_key=api_key, user=user, password=password)
        self._timeout_seconds = timeout_seconds
        self._max_retries = max_retries
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Make the library's client, which keeps the connections."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.origin!r})"

    def _ends_at(self, outgoing: Outgoing) -> float:
        return time.monotonic() + (self._timeout_seconds if outgoing.seconds is None else outgoing.seconds)

    def _parts(self, outgoing: Outgoing) -> dict[str, Any]:
        return wire.request_of(outgoing, self.origin, self._authorization)

    def _wait(self, outgoing: Outgoing, outcome: Reply | Exception, *, tries: int, ends_at: float) -> float | None:
        left = ends_at - time.monotonic()
        return wire.wait_before_retry(
            outgoing, outcome, tries=tries, max_retries=self._max_retries, seconds_left=left
        )  # fmt: skip


class HttpTransport(_Settings):
    """Over HTTP. Threads may share one; use it as a context manager, or close it.

    A deadline is checked whenever bytes come, so that a server which sends its last ones just before it can hold a
    sync call for twice the time; an async one ends on time.
    """

    def _open(self) -> None:
        self._client = httpx2.Client(cookies=wire.no_cookies())

    def __enter__(self) -> HttpTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """See `Transport`.

        Raises:
            LlmManagerError: it was refused or could not be sent.
        """
        reply = self.send(wire.outgoing_of(method, path, query=query, body=body, headers=headers))
        return Answer(reply.status, reply.headers, wire.read_body(reply))

    def send(self, outgoing: Outgoing) -> Reply:
        """Send a request, again where that is safe, and return its whole answer.

        Raises:
            LlmManagerError: it was refused or could not be sent.
        """
        ends_at, tries = self._ends_at(outgoing), 0
        while True:
            tries += 1
            outcome = self._once(outgoing, ends_at)
            if not isinstance(outcome, Reply):
                error = wire.failed(outcome, self.origin)
            elif (error := wire.refused(outcome)) is None:
                return outcome
            wait = self._wait(outgoing, outcome, tries=tries, ends_at=ends_at)
            if wait is None:
                raise error
            time.sleep(wait)

    def _once(self, outgoing: Outgoing, ends_at: float) -> Reply | Exception:
        try:
            with self._opened(outgoing, ends_at) as response:
                content = bytearray()
                for piece in _in_time(response.iter_bytes(), ends_at):
                    content += piece
                return Reply(response.status_code, _lowered(response), bytes(content))
        except _LIBRARY_ERRORS as error:
            return error

    @contextmanager
    def _opened(self, outgoing: Outgoing, ends_at: float, *, is_stream: bool = False) -> Generator[httpx2.Response]:
        timeout = wire.timeouts(ends_at - time.monotonic(), is_stream=is_stream)
        with self._client.stream(**self._parts(outgoing), timeout=timeout) as response:
            yield response

    def stream(self, method: str, path: str, *, body: Any = None) -> Iterator[Any]:
        """Yield the JSON events of a stream until `[DONE]`. Heartbeats are skipped; nothing is retried.

        The connection is closed when the iterator is left early: at once when nobody holds it any more, else by its
        `close`.

        Raises:
            LlmManagerError: it was refused, an event says an error, or it ends before `[DONE]`.
        """
        with closing(self.events(wire.outgoing_of(method, path, query=None, body=body, headers=None))) as events:
            for _, event in events:
                yield event

    def events(self, outgoing: Outgoing) -> Generator[tuple[Mapping[str, str], Any]]:
        """Yield each event of a stream with the headers of the answer; see `stream`."""
        ends_at = self._ends_at(outgoing)
        try:
            with self._opened(outgoing, ends_at, is_stream=True) as response:
                headers = _lowered(response)
                if error := wire.refused(Reply(response.status_code, headers, b"")):
                    content = b"".join(_in_time(response.iter_bytes(), ends_at))
                    raise wire.refused(Reply(response.status_code, headers, content)) or error
                reader = EventReader(headers.get("x-request-id"))
                for piece in _in_time(response.iter_bytes(), ends_at):
                    for event in reader.feed(piece):
                        yield headers, _raised(event)
                    if reader.is_over:
                        return
                reader.end()
        except _LIBRARY_ERRORS as error:
            raise wire.failed(error, self.origin) from None


class AsyncHttpTransport(_Settings):
    """Over HTTP, for asyncio. Tasks may share one; cancelling a call closes its connection."""

    def _open(self) -> None:
        self._client = httpx2.AsyncClient(cookies=wire.no_cookies())

    async def __aenter__(self) -> AsyncHttpTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """See `Transport`.

        Raises:
            LlmManagerError: it was refused or could not be sent.
        """
        reply = await self.send(wire.outgoing_of(method, path, query=query, body=body, headers=headers))
        return Answer(reply.status, reply.headers, wire.read_body(reply))

    async def send(self, outgoing: Outgoing) -> Reply:
        """See `HttpTransport.send`."""
        ends_at, tries = self._ends_at(outgoing), 0
        while True:
            tries += 1
            outcome = await self._once(outgoing, ends_at)
            if not isinstance(outcome, Reply):
                error = wire.failed(outcome, self.origin)
            elif (error := wire.refused(outcome)) is None:
                return outcome
            wait = self._wait(outgoing, outcome, tries=tries, ends_at=ends_at)
            if wait is None:
                raise error
            await asyncio.sleep(wait)

    async def _once(self, outgoing: Outgoing, ends_at: float) -> Reply | Exception:
        try:
            async with asyncio.timeout(ends_at - time.monotonic()), self._opened(outgoing, ends_at) as response:
                content = await response.aread()
                return Reply(response.status_code, _lowered(response), content)
        except TimeoutError:
            raise wire.too_late() from None
        except _LIBRARY_ERRORS as error:
            return error

    @asynccontextmanager
    async def _opened(
        self, outgoing: Outgoing, ends_at: float, *, is_stream: bool = False
    ) -> AsyncGenerator[httpx2.Response]:
        timeout = wire.timeouts(ends_at - time.monotonic(), is_stream=is_stream)
        async with self._client.stream(**self._parts(outgoing), timeout=timeout) as response:
            yield response

    async def stream(self, method: str, path: str, *, body: Any = None) -> AsyncIterator[Any]:
        """Yield the JSON events of a stream until `[DONE]`; see `HttpTransport.stream`.

        The connection is closed when the iterator is left early: soon after nobody holds it any more, or at once by
        its `aclose`.
        """
        async with aclosing(self.events(wire.outgoing_of(method, path, query=None, body=body, headers=None))) as events:
            async for _, event in events:
                yield event

    async def events(self, outgoing: Outgoing) -> AsyncGenerator[tuple[Mapping[str, str], Any]]:
        """Yield each event of a stream with the headers of the answer; see `stream`."""
        ends_at = self._ends_at(outgoing)
        try:
            async with self._opened(outgoing, ends_at, is_stream=True) as response:
                headers = _lowered(response)
                if error := wire.refused(Reply(response.status_code, headers, b"")):
                    async with asyncio.timeout(ends_at - time.monotonic()):
                        content = await response.aread()
                    raise wire.refused(Reply(response.status_code, headers, content)) or error
                reader, pieces = EventReader(headers.get("x-request-id")), response.aiter_bytes()
                # no timeout stands around a `yield`: it would cut off whoever uses the events
                while (piece := await _next_in_time(pieces, ends_at)) is not None:
                    for event in reader.feed(piece):
                        yield headers, _raised(event)
                    if reader.is_over:
                        return
                reader.end()
        except TimeoutError:
            raise wire.too_late() from None
        except _LIBRARY_ERRORS as error:
            raise wire.failed(error, self.origin) from None


def _lowered(response: httpx2.Response) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _in_time(pieces: Iterator[bytes], ends_at: float) -> Iterator[bytes]:
    for piece in pieces:
        if time.monotonic() > ends_at:
            raise wire.too_late()
        yield piece


async def _next_in_time(pieces: AsyncIterator[bytes], ends_at: float) -> bytes | None:
    async with asyncio.timeout(ends_at - time.monotonic()):
        return await anext(pieces, None)


def _raised(event: T | Exception) -> T:
    if isinstance(event, Exception):
        raise event
    return event
