"""The connection to NATS: one per process, reconnects for ever, and fails fast while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from llm_manager.core.errors import BodyTooLarge, BusUnavailable
from llm_manager.kit.bus.lean import LeanClient
from llm_manager.kit.bus.message import write_headers
from llm_manager.kit.bus.names import inbox_prefix
from llm_manager.kit.bus.replies import Replies
from llm_manager.kit.bus.transport import OnMessage

FIRST_CONNECT_SECONDS = 30.0
_RECONNECT_WAIT_SECONDS = 0.2
# What nats-py itself sends is kept up to so many bytes while there is no connection; `Bus.send` then refuses.
_PENDING_BYTES = 2 * 1024 * 1024
# Half-open connections are noticed after two unanswered pings; the library's default would need four minutes.
_PING_SECONDS = 5
_CLOSE_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


OnMsg = Callable[[Msg], Awaitable[None]]


class BusState(StrEnum):
    """Whether messages can be sent now."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Bus:
    """A live connection. Made by `connect`, which also closes it."""

    def __init__(self, client: LeanClient) -> None:
        self.client = client
        self.replies = Replies(client)
        self.jetstream: JetStreamContext = JetStreamContext(client, timeout=5)
        # Rises with every lost connection, so that a sender knows that its reader may be away too.
        self.epoch = 0
        self._connected_at: float | None = None
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def connected_at(self) -> float:
        """Loop time of the latest (re)connect, where clocks of silence start at the earliest; now while there is none.

        The client says `is_connected` some milliseconds before it tells of a reconnect (nats-py 2.16): a clock that
        started at the connection before would have run out by then.
        """
        return asyncio.get_running_loop().time() if self._connected_at is None else self._connected_at

    @property
    def state(self) -> BusState:
        """The state at this instant."""
        if self.client.is_closed:
            return BusState.CLOSED
        return BusState.CONNECTED if self.client.is_connected else BusState.RECONNECTING

    @property
    def max_payload(self) -> int:
        """The server's limit of a message in bytes, headers included."""
        return self.client.max_payload

    def send(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        reply: str = "",
        can_wait: bool = False,
    ) -> None:
        """Send one message without waiting for anything; `publish` is for those that may be large.

        Args:
            can_wait: see `LeanClient.send`.

        Raises:
            BusUnavailable: there is no connection now; nothing was buffered.
            BodyTooLarge: the message is above the server's limit, which would cost the whole connection.
        """
        client = self.client
        if not client.is_connected:
            raise self.unavailable()
        head = write_headers(headers) if headers else None
        size = len(payload) + len(head or b"")
        if size > client.max_payload:
            raise BodyTooLarge(
                f"A message of {size} bytes for {subject!r} is above the bus limit of {client.max_payload} bytes."
            )
        client.send(subject, payload, reply=reply, head=head, can_wait=can_wait)

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send one message, and wait while the server does not take what was sent before.

        Raises: as `send`.
        """
        self.send(subject, payload, headers=headers, reply=reply)
        if self.client.is_choked:
            await self.unchoked()

    async def unchoked(self) -> None:
        """Wait until the server takes what was sent.

        Raises:
            BusUnavailable: the connection was lost meanwhile.
        """
        try:
            await self.client.unchoked()
        except errors.ConnectionClosedError as error:
            raise self.unavailable() from error

    async def listen(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for every message, one after another, right where it is read: it must not block."""
        return await self.client.listen(subject, on_message, queue=queue)

    async def subscribe(self, subject: str, on_message: OnMsg, *, queue: str = "") -> Subscription:
        """Await `on_message` for every message, one after another; the way of nats-py, with a queue and a task."""
        # the library leaves the type of its `future` parameter open, which is not used here
        return await self.client.subscribe(subject, queue=queue, cb=on_message)  # pyright: ignore[reportUnknownMemberType]

    def unavailable(self) -> BusUnavailable:
        """Return the error that says that there is no connection."""
        return BusUnavailable(f"The connection to NATS is {self.state}; retry in a moment, or check the NATS server.")

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every reconnect; the returned function takes it off again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_connected(self, timeout_seconds: float) -> bool:
        """Return True as soon as there is a connection, False when there is none in time or never again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not self.client.is_connected and not self.client.is_closed:
                    self._changed.clear()
                    await self._changed.wait()
        return self.client.is_connected

    def note_connected(self) -> None:
        """Take note of a fresh connection. For `connect` only."""
        self._connected_at = asyncio.get_running_loop().time()
        self._changed.set()

    def note_disconnected(self) -> None:
        """Take note of a lost or closed connection. For `connect` only."""
        self.epoch += 1
        self._connected_at = None
        self._changed.set()

    def note_reconnected(self) -> None:
        """Take note of a connection that came back, and tell the listeners. For `connect` only."""
        self.note_connected()
        for listener in list(self._listeners):
            listener()


def _without_secrets(servers: list[str]) -> str:
    parts = [urlsplit(server if "://" in server else f"nats://{server}") for server in servers]
    return ",".join(f"{part.scheme}://{part.hostname}:{part.port or 4222}" for part in parts)


class _Watch:
    """Callbacks of the client; they log changes of state once instead of every failed attempt."""

    def __init__(self, client: Client, shown_url: str, on_lost: Callable[[Exception], None] | None) -> None:
        self.bus: Bus | None = None
        self._client = client
        self.is_closing = False
        self.last_error: Exception | None = None
        self.refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.shown_url = shown_url
        self._on_lost = on_lost

    async def error(self, error: Exception) -> None:
        self.last_error = error
        if "authorization" in str(error).lower() and not self.refused.done():
            self.refused.set_result(None)
        if isinstance(error, errors.SlowConsumerError):
            log.warning("bus_message_dropped", subject=error.subject)
        else:
            # what the server does not permit is logged where it is read (refusals.py)
            log.debug("bus_error", error=str(error), error_type=type(error).__name__)

    async def disconnected(self) -> None:
        if self.bus is not None:
            self.bus.note_disconnected()
            if not self.is_closing:
                log.warning("bus_disconnected", url=self.shown_url)

    async def reconnected(self) -> None:
        if self.bus is not None:
            log.info("bus_reconnected", url=self.shown_url)
            self.bus.note_reconnected()

    async def closed(self) -> None:
        # The library closes for good on protocol errors (a payload above the limit, a revoked token).
        if not self.is_closing:
            error = self._client.last_error or self.last_error or errors.ConnectionClosedError()
            log.error("bus_closed", url=self.shown_url, error=str(error))
            if self._on_lost is not None:
                self._on_lost(error)


async def _open(client: Client, servers: list[str], watch: _Watch, *, name: str, user: str, token: str | None) -> None:
    opening = asyncio.ensure_future(
        client.connect(
            servers=servers,
            name=name,
            token=None if user else token,
            user=user or None,
            password=(token or "") if user else None,
            inbox_prefix=inbox_prefix(user),
            error_cb=watch.error,
            disconnected_cb=watch.disconnected,
            reconnected_cb=watch.reconnected,
            closed_cb=watch.closed,
            reconnect_time_wait=_RECONNECT_WAIT_SECONDS,  # pyright: ignore[reportArgumentType]  # annotated int, used as float
            max_reconnect_attempts=-1,
            ping_interval=_PING_SECONDS,
            pending_size=_PENDING_BYTES,
            flush_timeout=10.0,
        )
    )
    try:
        await asyncio.wait({opening, watch.refused}, timeout=FIRST_CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            await opening
            return
    finally:
        if not opening.done():
            opening.cancel()
            await asyncio.wait({opening})
    if watch.refused.done():
        what, where = (
            (f"user {user!r} with this token", "NATS_USER and NATS_TOKEN") if user else ("token", "NATS_TOKEN")
        )
        raise BusUnavailable(f"NATS at {_without_secrets(servers)} refused the {what}; check {where} on both sides.")
    raise BusUnavailable(
        f"NATS at {_without_secrets(servers)} did not answer within {FIRST_CONNECT_SECONDS:g} s "
        f"({watch.last_error}); start it, or correct NATS_URL."
    )


def _servers(url: str) -> list[str]:
    servers = [server.strip() for server in url.split(",")]
    for server in servers:
        try:
            parts = urlsplit(server if "://" in server else f"nats://{server}")
            is_address = bool(parts.hostname) and parts.port != 0 and parts.scheme in {"nats", "tls"}
        except ValueError:
            is_address = False
        if not is_address:
            raise BusUnavailable("NATS_URL is not an address such as nats://127.0.0.1:4222 or tls://…; correct it.")
    return servers


async def _check_inbox(client: LeanClient, watch: _Watch) -> None:
    """Without its inboxes nothing would ever be answered: better said at the start than waited for each time."""
    with suppress(errors.Error, TimeoutError):
        # a server that is gone again comes back, or `on_lost` is told
        await client.flush()
    if client.refusals.refused_subscription is not None:
        raise BusUnavailable(
            f"NATS at {watch.shown_url} does not let this user subscribe to {client.refusals.refused_subscription!r}; "
            "check NATS_USER, and the server's permissions against docs/reference/nats.md."
        )


@asynccontextmanager
async def connect(
    url: str,
    *,
    name: str,
    user: str = "",
    token: str | None = None,
    on_lost: Callable[[Exception], None] | None = None,
) -> AsyncGenerator[Bus]:
    """Connect, and close on exit after what was published has left.

    The first connect is tried for 30 seconds; after that the connection reconnects for ever.

    Args:
        url: one address, or several of a cluster separated by commas.
        name: shown in the server's monitoring.
        user: a user of the bus, whose inboxes begin with `_INBOX.<user>`; empty for a bus without users.
        token: the user's password, or the shared secret of a bus without users; None when the server wants none.
        on_lost: called once if the library gives the connection up for good; the process should end then.
    Raises:
        BusUnavailable: no server answered in time, it refused the token, or the user may not read its own inboxes.
    """
    servers = _servers(url)
    client = LeanClient()
    watch = _Watch(client, _without_secrets(servers), on_lost)
    try:
        await _open(client, servers, watch, name=name, user=user, token=token)
        watch.bus = Bus(client)
        await watch.bus.replies.open()
        await _check_inbox(client, watch)
        watch.bus.note_connected()
        yield watch.bus
    finally:
        watch.is_closing = True
        watch.refused.cancel()
        if not client.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.close()
