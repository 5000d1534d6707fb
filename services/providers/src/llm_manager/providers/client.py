"""The one way to a provider: HTTP with five separate limits on waiting, and a connection that closes when told.

Known-failures B-5 (a provider that accepts and stays silent) and L-24, B-8 (a client that goes away while the provider
works on).
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace, TracebackType
from typing import Literal, Protocol, Self
from weakref import WeakSet

import aiohttp
import msgspec

from llm_manager.core.errors import (
    LlmManagerError,
    UpstreamFailure,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from llm_manager.kit.bus.claim_check import MAX_CLAIM_BYTES
from llm_manager.providers.job import CONNECTION_LOST

LimitName = Literal["connect", "headers", "first_token", "idle", "total"]
# Of an answer, unpacked. What the bus does not carry as one message could go nowhere; 1 MiB is for its envelope.
# aiohttp (3.14.5) unpacks what is read, 64 KiB at a time, so that kilobytes that unpack to gigabytes cost no more.
MAX_BODY_BYTES = MAX_CLAIM_BYTES - 1024 * 1024
_CONNECTIONS_PER_HOST = 1000
_LARGE_BYTES = 1024 * 1024
# Below the 60 s of common load balancers, so that no request meets a connection that the other side just closed.
_KEEP_ALIVE_SECONDS = 20.0
_WHAT: Mapping[LimitName, str] = {
    "connect": "did not take a connection",
    "headers": "did not begin to answer",
    "first_token": "sent no content",
    "idle": "fell silent in the middle of its answer",
    "total": "did not finish",
}


class Limits(msgspec.Struct, frozen=True):
    """Seconds; see proto inference/v1/infer.proto, Timeouts."""

    connect: float
    headers: float
    first_token: float
    idle: float
    total: float


class HttpCall(msgspec.Struct, frozen=True):
    """One request; `headers` hold the credential, so the value is never printed."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    title: str

    def __repr__(self) -> str:
        return f"HttpCall({self.method} {self.url})"


class Answer(Protocol):
    """An answer whose headers are here. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the next bytes, empty at the end."""
        ...

    def expect(self, limit: LimitName) -> None:
        """Say what the next wait is for."""
        ...


class _Watch:
    """One timer for all limits of one attempt. Moving a limit costs an assignment, not a timer."""

    def __init__(self, scope: asyncio.Timeout, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._scope = scope
        self._limits = limits
        self._total_at = self._loop.time() + limits.total
        self._name: LimitName = "connect"
        self._due = self._total_at
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = float("inf")
        self.tripped: LimitName | None = None
        self.is_sent = False
        self.expect("connect")

    def expect(self, name: LimitName) -> None:
        """Start the wait for something."""
        seconds: float = getattr(self._limits, name)
        self._name = name
        self._due = min(self._loop.time() + seconds, self._total_at)
        if self._due < self._fires_at:
            self._schedule()

    def pause(self) -> None:
        """Nobody waits for the provider now; only the whole attempt is limited."""
        self._name, self._due = "total", self._total_at

    def seconds_of(self, name: LimitName) -> float:
        """Return a limit."""
        seconds: float = getattr(self._limits, name)
        return seconds

    def stop(self) -> None:
        """End all limits."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        self.stop()
        self._fires_at = self._due
        self._timer = self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        now = self._loop.time()
        # A timer may fire a hair early by the loop's resolution.
        if now + 0.001 >= self._due:
            self.tripped = "total" if self._due >= self._total_at else self._name
            self._scope.reschedule(now)
        else:
            self._schedule()


class _HttpAnswer:
    """An answer over HTTP."""

    def __init__(self, response: aiohttp.ClientResponse, watch: _Watch, title: str) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._content = response.content
        self._watch = watch
        self._title = title
        self._size = 0
        self._next: LimitName = "idle"
        self._is_broken = False

    def expect(self, limit: LimitName) -> None:
        """See `Answer`. The wait for the first token runs on over several reads; all others start anew with each."""
        if limit != self._next:
            self._next = limit
            if limit == "first_token":
                self._watch.expect(limit)

    async def read(self) -> bytes:
        """See `Answer`.

        Raises:
            UpstreamProtocolError: the connection broke before the end, or the answer is too large.
        """
        if self._next != "first_token":
            self._watch.expect(self._next)
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError is how aiohttp says that the connection is closed, between the close and what it makes of it.
            # It raises before it hands out what had come; usage may stand in it, and there is no public way to it.
            data = self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            if not data:
                raise self._broken(type(error).__name__) from error
        if not data and self._is_broken:
            raise self._broken("its bytes are not HTTP")
        if self._next != "first_token":
            self._watch.pause()
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            raise UpstreamProtocolError(
                f"{self._title} sent more than {MAX_BODY_BYTES} bytes in one answer.",
                upstream=UpstreamFailure(self.status),
            )
        return data

    def break_off(self) -> None:
        """End an answer whose connection is gone; what has come can still be read."""
        if not self._content.is_eof() and self._content.exception() is None:
            self._is_broken = True
            self._content.feed_eof()

    def _broken(self, why: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(
            f"The connection to {self._title} broke before the answer was complete ({why}).",
            upstream=UpstreamFailure(self.status),
        )


class _Connections:
    """Which answer is read from which connection, so that it ends when the connection does.

    aiohttp (3.14.5, `client_proto.py`, `data_received`) closes a connection whose bytes are not HTTP without a word to
    the body, whose reader would wait until a limit ends it.
    """

    def __init__(self) -> None:
        self._answers: dict[asyncio.Future[None], _HttpAnswer] = {}
        self._known: WeakSet[asyncio.Future[None]] = WeakSet()

    @contextmanager
    def reading(self, response: aiohttp.ClientResponse, answer: _HttpAnswer) -> Generator[None]:
        """Watch the connection of an answer while entered."""
        connection = response.connection
        if connection is None or connection.protocol is None:
            # the answer is here as a whole
            yield
            return
        closed = connection.protocol.closed
        if closed is None:
            answer.break_off()
            yield
            return
        if closed not in self._known:
            # once for each connection: it serves many answers, and would keep each of them
            self._known.add(closed)
            closed.add_done_callback(self._on_closed)
        self._answers[closed] = answer
        try:
            yield
        finally:
            self._answers.pop(closed, None)

    def _on_closed(self, closed: asyncio.Future[None]) -> None:
        # looked at, or asyncio would log that nobody did
        if not closed.cancelled():
            closed.exception()
        if (answer := self._answers.pop(closed, None)) is not None:
            answer.break_off()


class HttpClient:
    """Keeps connections to all providers; enter it once per process.

    TLS certificates are verified, redirects are not followed: they would carry the credential elsewhere.
    """

    def __init__(self, *, connections_per_host: int = _CONNECTIONS_PER_HOST) -> None:
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None
        self._connections = _Connections()

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_on_headers_sent)
        tracing.on_request_chunk_sent.append(_on_headers_sent)
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=self._connections_per_host, keepalive_timeout=_KEEP_ALIVE_SECONDS
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[tracing],
            skip_auto_headers=("User-Agent",),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def open(self, call: HttpCall, limits: Limits) -> AsyncGenerator[Answer]:
        """Send a request and hand out the answer once its headers are here.

        Leaving the context before the end of the answer, by cancellation too, closes the connection at once.

        Raises:
            UpstreamUnreachable: no connection, or it broke before the headers.
            UpstreamTimeout: one of the limits; the message and `error.upstream.code` name it. Raised out of the
                context also while the caller works with the answer.
        """
        watch: _Watch | None = None
        try:
            async with asyncio.timeout(None) as scope:
                watch = _Watch(scope, limits)
                response = await self._send(call, watch)
                answer = _HttpAnswer(response, watch, call.title)
                try:
                    with self._connections.reading(response, answer):
                        yield answer
                finally:
                    # What was not read to its end must not come back to the pool, the provider would go on.
                    response.close()
        except TimeoutError as error:
            if watch is None or watch.tripped is None:
                raise
            raise _timeout(call.title, watch.tripped, watch.seconds_of(watch.tripped)) from error
        finally:
            if watch is not None:
                watch.stop()

    async def _send(self, call: HttpCall, watch: _Watch) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is not entered")
        try:
            return await self._session.request(
                call.method,
                call.url,
                data=_data_of(call.body),
                headers=call.headers,
                allow_redirects=False,
                trace_request_ctx=watch,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unreachable(call.title, error, is_sent=watch.is_sent) from error


def _data_of(body: bytes) -> bytes | io.BytesIO | None:
    # Large bodies are written in pieces, so that other streams of this process go on meanwhile.
    return io.BytesIO(body) if len(body) > _LARGE_BYTES else body or None


async def _on_headers_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    watch: _Watch = context.trace_request_ctx
    watch.is_sent = True
    watch.expect("headers")


def _timeout(title: str, limit: LimitName, seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{title} {_WHAT[limit]} within {seconds:g} s (limit {limit}); try again or raise the limit.",
        upstream=UpstreamFailure(0, code=f"timeout_{limit}"),
    )


def _unreachable(title: str, error: Exception, *, is_sent: bool) -> LlmManagerError:
    if is_sent and isinstance(error, aiohttp.ClientResponseError):
        why = error.message.partition("\n")[0][:100].rstrip(":")
        what = f"{title} answered with bytes that are not HTTP ({why}); its answer is lost."
        return UpstreamProtocolError(what, upstream=UpstreamFailure(0, code=CONNECTION_LOST))
    match error:
        case aiohttp.ClientConnectorDNSError():
            what = "its name cannot be resolved"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            what = "its TLS certificate or handshake is not good"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            what = "it closed the connection before it answered"
        case aiohttp.InvalidURL() | ValueError():
            what = "its base URL or a header is malformed"
        case aiohttp.ClientConnectorError():
            what = f"no connection ({error.os_error.strerror or 'refused'})"
        case _:
            what = f"the connection failed ({type(error).__name__})"
    lost = UpstreamFailure(0, code=CONNECTION_LOST if is_sent else "")
    return UpstreamUnreachable(f"{title} cannot be reached: {what}.", upstream=lost)
