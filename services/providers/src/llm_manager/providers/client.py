"""The one way to a provider: HTTP with five separate limits on waiting, and a connection that closes when told.

Known-failures B-5 (a provider that accepts and stays silent) and L-24, B-8 (a client that goes away while the provider
works on).
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Literal, Protocol, Self

import aiohttp

from llm_manager.core.errors import (
    LlmManagerError,
    UpstreamFailure,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from llm_manager.providers.job import CONNECTION_LOST

LimitName = Literal["connect", "headers", "first_token", "idle", "total"]
MAX_BODY_BYTES = 256 * 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; see proto inference/v1/infer.proto, Timeouts."""

    connect: float
    headers: float
    first_token: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True)
class HttpCall:
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
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamProtocolError(
                f"The connection to {self._title} broke before the answer was complete ({type(error).__name__}).",
                upstream=UpstreamFailure(self.status),
            ) from error
        if self._next != "first_token":
            self._watch.pause()
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            raise UpstreamProtocolError(f"{self._title} sent more than {MAX_BODY_BYTES} bytes in one answer.")
        return data


class HttpClient:
    """Keeps connections to all providers; enter it once per process.

    TLS certificates are verified, redirects are not followed: they would carry the credential elsewhere.
    """

    def __init__(self, *, connections_per_host: int = _CONNECTIONS_PER_HOST) -> None:
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None

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
                try:
                    yield _HttpAnswer(response, watch, call.title)
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
        what = f"{title} answered with a head that is not HTTP ({error.message[:100]}); its answer is lost."
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
