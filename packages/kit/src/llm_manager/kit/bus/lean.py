"""nats-py's client with a fast lane: plain calls for what is received, one write for what is sent.

Connecting, TLS, authorization, reconnecting and the administration of JetStream stay nats-py's. This file is the one
place that uses what nats-py 2.16 does not offer publicly; `tests/bus/test_lean.py` fails when that changes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nats import errors
from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from llm_manager.kit.bus.message import Message, publication, write_headers
from llm_manager.kit.bus.refusals import NotPermittedError, Refusals
from llm_manager.kit.bus.transport import LaneTransport, OnMessage

# pyright: reportPrivateUsage=false

# So long may wait what says that it can, while other things leave all the time: at 3,000 chunks a second it saves the
# processes on both sides two wake-ups of three. Timers of the loop go by milliseconds.
_LINGER_SECONDS = 0.002
# More leaves at once: to wait would save nothing.
_LINGER_BYTES = 64 * 1024


class LeanClient(Client):
    """What one turn of the loop sends leaves in one write at its end: one for each costs the server five times as much.

    What can wait leaves with the next that cannot, or within two milliseconds; at once when nothing has left lately.

    nats-py has a task, a queue and a future for that, which cost more than the write. So a PING also stands behind what
    was published and subscribed before it: in nats-py 2.16 it passes its own buffer, and `flush` returned, and `drain`
    stopped listening, before the server had seen the SUB or UNSUB before it (seen in tests that kill servers, 2026-11).
    """

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._is_due = False
        self._written_at = 0.0
        self._is_lingering = False
        self._lane: dict[bytes, OnMessage] = {}
        self.refusals = Refusals()
        self.refusals.listen(self._on_refusal)
        # the requests of nats-py that wait for their replies, by their scopes
        self._asked: dict[asyncio.Timeout, str] = {}
        self._socket = self._transport = LaneTransport(self._lane, self.refusals.take)

    async def listen(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for every message, where it is read from the socket: it must not block."""

        async def early(message: Msg) -> None:
            # came while the server's confirmation was on its way to the lines below
            head = write_headers(message.headers) if message.headers else None
            on_message(Message(message.subject, message.reply, message.data, head))

        # the library leaves the type of its `future` parameter open, which is not used here
        subscription = await self.subscribe(subject, queue=queue, cb=early)  # pyright: ignore[reportUnknownMemberType]
        self._lane[b"%d" % subscription._id] = on_message
        return subscription

    def send(
        self, subject: str, payload: bytes, *, reply: str = "", head: bytes | None = None, can_wait: bool = False
    ) -> None:
        """Publish without waiting; while there is no connection it is kept until there is one, up to 2 MiB.

        Args:
            head: a block of headers, see `message.write_headers`.
            can_wait: a busy connection may keep it for up to two milliseconds, and send it together with others.

        Raises:
            ConnectionClosedError: for good.
            OutboundBufferLimitError: too much is kept already.
        """
        if self.is_closed:
            raise errors.ConnectionClosedError
        self._put(publication(subject, payload, reply=reply, head=head), can_wait=can_wait)

    @property
    def is_choked(self) -> bool:
        """Whether the server does not take what was sent: who sends large messages waits for `unchoked`."""
        return self._socket.is_choked

    async def unchoked(self) -> None:
        """Wait until the server takes what was sent, or the connection is lost.

        Raises:
            ConnectionClosedError: it is lost.
        """
        try:
            await self._socket.drain()
        except OSError as error:
            raise errors.ConnectionClosedError from error

    def _put(self, command: bytes, *, can_wait: bool = False) -> None:
        if not self.is_connected and self._pending_data_size + len(command) > self._max_pending_size:
            raise errors.OutboundBufferLimitError
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._is_due or (can_wait and self._lingers()):
            return
        self._is_due = True
        self._loop.call_soon(self._write_due)

    def _lingers(self) -> bool:
        """Whether what was put will leave by a timer."""
        if not self._is_lingering and self._loop.time() - self._written_at < _LINGER_SECONDS:
            self._is_lingering = True
            self._loop.call_later(_LINGER_SECONDS, self._write_lingering)
        return self._is_lingering and self._pending_data_size < _LINGER_BYTES

    def _write_lingering(self) -> None:
        self._is_lingering = False
        self._write_due()

    def _write_due(self) -> None:
        self._is_due = False
        if self.is_connected:
            self._write_pending()

    def _write_pending(self) -> None:
        if self._pending:
            self._socket.writelines(self._pending)
            self._pending.clear()
            self._pending_data_size = 0
            self._written_at = self._loop.time()

    async def close(self) -> None:
        """Close after what was sent has left; without a connection nothing can leave, and it is dropped."""
        if not self.is_connected:
            self._pending.clear()
            self._pending_data_size = 0
        await super().close()

    def inbox_for(self, purpose: str) -> str:
        """Return a new inbox below one that is named for what comes in, so that others may be let write there only."""
        prefix, _, unique = self.new_inbox().rpartition(".")
        return f"{prefix}.{purpose}.{unique}"

    async def request(  # pyright: ignore[reportIncompatibleMethodOverride]  # nobody gives the last two by position
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109
        *,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """As nats-py's, and ends at once where the server says that it does not let this user publish.

        Raises:
            NotPermittedError: that.
        """
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._asked[scope] = subject
                return await super().request(subject, payload, timeout, old_style, headers)
        except TimeoutError as error:
            if scope.expired():
                raise NotPermittedError(subject) from error
            raise
        finally:
            self._asked.pop(scope, None)

    def _on_refusal(self, subject: str) -> None:
        for scope, asked in list(self._asked.items()):
            if asked == subject and not scope.expired():
                scope.reschedule(self._loop.time())

    # in place of nats-py's own

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:  # noqa: ARG002  # theirs
        self._put(bytes(cmd))
        if self._socket.is_choked:
            await self.unchoked()

    async def _flush_pending(self, force_flush: bool = False) -> Any:  # noqa: ARG002  # theirs
        if self.is_connected:
            self._write_pending()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        waiter = future or asyncio.get_running_loop().create_future()
        self._pongs.append(waiter)  # pyright: ignore[reportUnknownMemberType]  # the library leaves its type open
        # not held up by a server that takes nothing: that is what it is to find out
        self._put(PING_PROTO)

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._lane.pop(b"%d" % sid, None)
        super()._remove_sub(sid, max_msgs)
