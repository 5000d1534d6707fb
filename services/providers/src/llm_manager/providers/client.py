"""The one way to a provider: HTTP with five separate limits on waiting, and a connection that closes when told.

Known-failures B-5 (a provider that accepts and stays silent) and L-24, B-8 (a client that goes away while the provider
works on).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec
from httptools import HttpParserError, HttpParserUpgrade

from llm_manager.core.errors import (
    LlmManagerError,
    UpstreamFailure,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from llm_manager.kit.bus.claim_check import MAX_CLAIM_BYTES
from llm_manager.kit.outbound import NONE, Networks
from llm_manager.providers.http1.address import address_of
from llm_manager.providers.http1.connection import Connection
from llm_manager.providers.http1.pool import Pool, PrivateAddress
from llm_manager.providers.http1.reply import BrokenReply, Reply
from llm_manager.providers.http1.request import head_of
from llm_manager.providers.http1.unpacking import Unpacking, is_packed
from llm_manager.providers.job import CONNECTION_LOST

LimitName = Literal["connect", "headers", "first_token", "idle", "total"]
# Of an answer, unpacked. What the bus does not carry as one message could go nowhere; 1 MiB is for its envelope.
MAX_BODY_BYTES = MAX_CLAIM_BYTES - 1024 * 1024
_CONNECTIONS_PER_HOST = 1000
# Below the 60 s of common load balancers, so that no request meets a connection that the other side just closed.
_KEEP_ALIVE_SECONDS = 20.0
_ALLOWS = "LLM_MANAGER_PROVIDERS_PRIVATE_NETWORKS"
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
    """One request; `headers` hold the credential, so the value is never printed.

    `is_trusted`: the URL was given by whoever runs the platform, so it may lead to private addresses.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    title: str
    is_trusted: bool = False

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
        # whether something of the request has gone out
        self.is_sent = False
        self.expect("connect")

    def note_sent(self) -> None:
        """Start the wait for the answer, anew with everything that goes out."""
        self.is_sent = True
        self.expect("headers")

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

    def __init__(self, reply: Reply, watch: _Watch, title: str) -> None:
        self.status = reply.status
        self.headers: Mapping[str, str] = reply.headers
        encoding = reply.headers.get("content-encoding", "").strip().lower()
        self._read = Unpacking(encoding, reply.read).read if is_packed(encoding) else reply.read
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
            data = await self._read()
        except BrokenReply as error:
            raise UpstreamProtocolError(
                f"The connection to {self._title} broke before the answer was complete ({error}).",
                upstream=UpstreamFailure(self.status),
            ) from error
        if self._next != "first_token":
            self._watch.pause()
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            raise UpstreamProtocolError(
                f"{self._title} sent more than {MAX_BODY_BYTES} bytes in one answer.",
                upstream=UpstreamFailure(self.status),
            )
        return data


class HttpClient:
    """Keeps connections to all providers; enter it once per process.

    TLS certificates are verified, redirects are not followed: they would carry the credential elsewhere.

    Args:
        private_networks: where URLs that are not trusted may lead although it is not public.
    """

    def __init__(self, *, connections_per_host: int = _CONNECTIONS_PER_HOST, private_networks: Networks = NONE) -> None:
        self._connections_per_host = connections_per_host
        self._private_networks = private_networks
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        self._pool = Pool(
            per_origin=self._connections_per_host,
            keep_seconds=_KEEP_ALIVE_SECONDS,
            private_networks=self._private_networks,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    def open(self, call: HttpCall, limits: Limits) -> AbstractAsyncContextManager[Answer]:
        """Return what sends a request when it is entered, and hands out the answer once its headers are here.

        Leaving the context before the end of the answer, by cancellation too, closes the connection at once.

        Raises:
            UpstreamUnreachable: no connection, or it broke before the headers; not `retryable` where a URL that is
                not trusted leads to private addresses.
            UpstreamTimeout: one of the limits; the message and `error.upstream.code` name it. Raised out of the
                context also while the caller works with the answer.
        """
        if self._pool is None:
            raise RuntimeError("the client is not entered")
        return _Exchange(self._pool, call, limits)


class _Exchange:
    """One request and its answer, on a connection of its own meanwhile."""

    def __init__(self, pool: Pool, call: HttpCall, limits: Limits) -> None:
        self._pool = pool
        self._call = call
        self._scope = asyncio.timeout(None)
        self._watch = _Watch(self._scope, limits)
        self._connection: Connection | None = None

    async def __aenter__(self) -> Answer:
        await self._scope.__aenter__()
        try:
            return _HttpAnswer(await self._ask(), self._watch, self._call.title)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watch = self._watch
        watch.stop()
        if self._connection is not None:
            # what was not read to its end does not come back to the pool: the provider would go on
            self._pool.give_back(self._connection)
            self._connection = None
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError as late:
            if watch.tripped is None:
                raise
            raise _timeout(self._call.title, watch.tripped, watch.seconds_of(watch.tripped)) from late

    async def _ask(self) -> Reply:
        call, watch = self._call, self._watch
        try:
            address = address_of(call.url, is_trusted=call.is_trusted)
            head = head_of(call.method, address, call.headers, body_bytes=len(call.body))
            self._connection = await self._pool.take(address.origin)
            return await self._connection.ask(head, call.body, on_sent=watch.note_sent)
        except (HttpParserError, HttpParserUpgrade, OSError, ValueError) as error:
            raise _unreachable(call.title, error, is_sent=watch.is_sent) from error


def _timeout(title: str, limit: LimitName, seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{title} {_WHAT[limit]} within {seconds:g} s (limit {limit}); try again or raise the limit.",
        upstream=UpstreamFailure(0, code=f"timeout_{limit}"),
    )


def _unreachable(title: str, error: Exception, *, is_sent: bool) -> LlmManagerError:
    match error:
        case PrivateAddress():
            what = f"{title} resolves to a private address; whoever runs the platform can allow it with {_ALLOWS}."
            # over the bus only the upstream's word makes a class that is retryable one that is not
            return UpstreamUnreachable(what, upstream=UpstreamFailure(0, should_retry=False))
        case HttpParserError() | HttpParserUpgrade():
            what = f"{title} answered with bytes that are not HTTP ({str(error)[:100]}); its answer is lost."
            return UpstreamProtocolError(what, upstream=UpstreamFailure(0, code=CONNECTION_LOST))
        case socket.gaierror():
            what = "its name cannot be resolved"
        case ssl.SSLError():
            what = "its TLS certificate or handshake is not good"
        case ConnectionRefusedError():
            what = "no connection (Connection refused)"
        case ConnectionError():
            what = "it closed the connection before it answered"
        case ValueError():
            what = "its base URL or a header is malformed"
        case OSError():
            what = f"no connection ({error.strerror or 'refused'})"
        case _:
            what = f"the connection failed ({type(error).__name__})"
    lost = UpstreamFailure(0, code=CONNECTION_LOST if is_sent else "")
    return UpstreamUnreachable(f"{title} cannot be reached: {what}.", upstream=lost)
