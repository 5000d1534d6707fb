"""The socket of a NATS connection: messages of chosen subscriptions are handed over right where they are read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import ParseResult

import structlog
from nats.aio.transport import Transport

from llm_manager.kit.bus.message import Message

OnMessage = Callable[[Message], None]
OnError = Callable[[str], None]

# Bytes that may wait for the socket before who sends waits too.
_WAITING_BYTES = 2 * 1024 * 1024
# What was written has so long to leave when the connection is closed: a server that stands still takes nothing.
_CLOSE_SECONDS = 2.0
_PORT = 4222
_MSG, _HMSG, _ERR = ord("M"), ord("H"), ord("-")
# Words of a message's first line when there is a reply subject: kind, subject, sid, reply, and one or two sizes.
_MSG_WITH_REPLY, _HMSG_WITH_REPLY = 5, 6

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class LaneTransport(Transport):
    """Fills the port that nats-py offers for transports, over TCP and TLS.

    Args:
        lane: callbacks by the number of a subscription (`sid`); the caller may change it at any time.
        on_error: is told what the server says against this client, before nats-py, which makes it lower case.
    """

    def __init__(self, lane: dict[bytes, OnMessage], on_error: OnError) -> None:
        self._lane = lane
        self._on_error = on_error
        self._socket = LaneSocket(lane, on_error)

    @property
    def is_choked(self) -> bool:
        """Whether who sends should wait for `drain`."""
        return not self._socket.writable.is_set()

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:  # noqa: ARG002  # theirs
        """Open a connection in place of the one before."""
        self._socket.abort()
        socket = self._socket = LaneSocket(self._lane, self._on_error)
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().create_connection(lambda: socket, uri.hostname or "", uri.port or _PORT)

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,  # noqa: ARG002  # theirs
        connect_timeout: int,
    ) -> None:
        """Go on in TLS."""
        socket, host = self._socket, uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            opened = await asyncio.get_running_loop().start_tls(
                socket.opened, socket, ssl_context, server_hostname=host
            )
        if opened is None:
            raise ConnectionResetError("the server closed the connection while TLS was agreed")
        socket.connection_made(opened)

    def write(self, payload: bytes) -> None:
        """Send; what comes after the end of the connection is dropped, as asyncio's own transports do."""
        self._socket.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Send several."""
        self._socket.write(b"".join(payload))

    async def drain(self) -> None:
        """Wait until less than 2 MiB wait for the socket.

        Raises:
            OSError: the connection was lost.
        """
        await self._socket.writable.wait()
        self._socket.check()

    async def read(self, buffer_size: int) -> bytes:  # noqa: ARG002  # theirs
        """Return what is left beside the lane, empty at the end; from the first call on the lane is open."""
        return await self._socket.read()

    async def readline(self) -> bytes:
        """Return one line with its end, or what there is at the end of the connection. Before the first `read`."""
        return await self._socket.readline()

    def at_eof(self) -> bool:
        """Whether nothing more will come."""
        return self._socket.is_at_end

    def close(self) -> None:
        """Close after what was written has left."""
        self._socket.close()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection, two seconds at most."""
        await self._socket.wait_closed()

    def __bool__(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]  # theirs says None and means bool
        # nats-py makes a transport of its own where it finds none
        return True


class LaneSocket(asyncio.Protocol):
    """One connection. While it is agreed it is read by lines, then by messages."""

    def __init__(self, lane: dict[bytes, OnMessage], on_error: OnError = lambda _: None) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._lane = lane
        self._on_error = on_error
        self._transport: asyncio.Transport | None = None
        self._has_messages = False
        # what is left for nats-py
        self._left = bytearray()
        # the beginning of a message whose end has not come, and how many bytes that wants at least
        self._begun: list[bytes] = []
        self._missing = 0
        self._is_ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self.writable = asyncio.Event()
        self.writable.set()

    @property
    def opened(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionResetError("there is no connection to NATS")
        return self._transport

    @property
    def is_at_end(self) -> bool:
        return self._is_ended and not self._left

    @property
    def has_left(self) -> bool:
        return bool(self._left)

    def check(self) -> None:
        if self._is_ended:
            raise ConnectionResetError("the connection to NATS was lost") from self._error

    def write(self, data: bytes) -> None:
        if not self._is_ended:
            self.opened.write(data)

    async def read(self) -> bytes:
        if not self._has_messages:
            self._has_messages = True
            early = bytes(self._left)
            self._left.clear()
            self._take(early)
        while not self._left and not self._is_ended:
            await self._change()
        return self._taken(len(self._left))

    async def readline(self) -> bytes:
        while (end := self._left.find(b"\n")) < 0 and not self._is_ended:
            await self._change()
        return self._taken(end + 1 if end >= 0 else len(self._left))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        if self._transport is not None:
            await asyncio.wait({self._closed}, timeout=_CLOSE_SECONDS)
            self._transport.abort()

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WAITING_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._has_messages:
            self._take(data)
        else:
            self._leave(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended, self._error = True, exc
        self.writable.set()
        self._wake()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # what is left for nats-py

    def _leave(self, data: bytes) -> None:
        self._left += data
        self._wake()

    def _taken(self, size: int) -> bytes:
        data = bytes(self._left[:size])
        del self._left[:size]
        return data

    async def _change(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # the lane

    def _take(self, data: bytes) -> None:
        """Hand over every whole message and command, in order; keep what has only begun."""
        if self._begun:
            self._begun.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._begun)
            self._begun.clear()
        start, end = 0, len(data)
        while start < end:
            line_end = data.find(b"\r\n", start)
            if line_end < 0:
                self._keep(data[start:], missing=1)
                return
            if data[start] not in (_MSG, _HMSG):
                if data[start] == _ERR:
                    self._on_error(data[start:line_end].decode(errors="replace"))
                self._leave(data[start : line_end + 2])
                start = line_end + 2
                continue
            words = data[start:line_end].split()
            message_end = line_end + 2 + int(words[-1])
            if message_end + 2 > end:
                self._keep(data[start:], missing=message_end + 2 - end)
                return
            on_message = self._lane.get(words[2])
            if on_message is None:
                self._leave(data[start : message_end + 2])
            else:
                message = _message(words, data[line_end + 2 : message_end])
                try:
                    on_message(message)
                except Exception:  # one message must not cost the connection
                    log.exception("bus_message_failed", subject=message.subject)
            start = message_end + 2

    def _keep(self, beginning: bytes, *, missing: int) -> None:
        self._begun.append(beginning)
        self._missing = missing


def _message(words: list[bytes], block: bytes) -> Message:
    """Return a message from the words of its first line and what follows that."""
    if words[0] == b"MSG":
        reply = words[3].decode() if len(words) == _MSG_WITH_REPLY else ""
        return Message(words[1].decode(), reply, block)
    reply = words[3].decode() if len(words) == _HMSG_WITH_REPLY else ""
    head_size = int(words[-2])
    return Message(words[1].decode(), reply, block[head_size:], block[:head_size])
