"""Connections by origin: kept while they may be used again, bounded, opened with happy eyeballs.

A name that is not trusted is connected to at public addresses only (known-failures P-14). What was resolved is checked,
and what was checked is connected to, so that a name whose address changes gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]  # leaves addresses open

from llm_manager.kit.outbound import NONE, Networks, is_refused
from llm_manager.providers.http1.address import Origin
from llm_manager.providers.http1.connection import Connection
from llm_manager.providers.http1.reply import Closed

# RFC 8305, section 5.
_NEXT_ADDRESS_SECONDS = 0.25
# Providers move by their names, within a minute mostly; a burst of connections asks once.
_NAMES_SECONDS = 10.0

# As getaddrinfo returns them; the last part differs between families.
_Addresses = Sequence[tuple[int, int, int, str, tuple[Any, ...]]]


class PrivateAddress(OSError):
    """A name that is not trusted leads to no address that may be connected to; the text does not say where it leads."""


class _Lane:
    """The connections of one origin."""

    __slots__ = ("count", "idle", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.idle: list[Connection] = []
        self.waiting: deque[asyncio.Future[None]] = deque()

    def wake_one(self) -> None:
        """Let the first of those who wait look again."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Pool:
    """Hands out connections; the caller's deadline bounds every wait.

    Args:
        per_origin: connections at the same time to one origin; who wants more waits.
        keep_seconds: how long a connection is kept idle.
        private_networks: may be connected to although they are not public, whoever gave the name.
    """

    def __init__(self, *, per_origin: int, keep_seconds: float, private_networks: Networks = NONE) -> None:
        self._per_origin = per_origin
        self._private_networks = private_networks
        self._keep_seconds = keep_seconds
        self._lanes: dict[Origin, _Lane] = {}
        self._names: dict[Origin, tuple[float, _Addresses]] = {}
        self._tls = ssl.create_default_context()
        self._sweeper: asyncio.TimerHandle | None = None
        self._open: set[Connection] = set()

    async def take(self, origin: Origin) -> Connection:
        """Return an open connection: the one that was used last, or a new one.

        Raises:
            OSError: it cannot be opened; `socket.gaierror` when the name cannot be resolved.
            PrivateAddress: the origin is not trusted and leads to private addresses only.
            ssl.SSLError: the other side's certificate or handshake is not good.
        """
        while True:
            # looked up anew after each wait: with its last connection a lane goes
            lane = self._lanes.setdefault(origin, _Lane())
            while lane.idle:
                connection = lane.idle.pop()
                if connection.is_open:
                    return connection
            if lane.count < self._per_origin:
                return await self._opened(origin, lane)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            lane.waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    lane.wake_one()  # the turn was given to somebody who has left
                raise

    def give_back(self, connection: Connection) -> None:
        """Take back a connection after its exchange; what cannot be used again is closed."""
        if not connection.finish():
            return
        loop = asyncio.get_running_loop()
        lane = self._lanes[connection.origin]
        connection.idle_since = loop.time()
        lane.idle.append(connection)
        lane.wake_one()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_seconds, self._sweep)

    def close(self) -> None:
        """Close all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self._open:
            connection.close()

    async def _opened(self, origin: Origin, lane: _Lane) -> Connection:
        lane.count += 1
        connection = Connection(origin, self._lost)
        try:
            sock = await start_connection(await self._addresses(origin), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
            try:
                await self._connect(connection, sock)
            except BaseException:
                sock.close()
                raise
        except BaseException:
            if connection not in self._open:
                self._forget(origin)
            raise
        return connection

    async def _connect(self, connection: Connection, sock: socket.socket) -> None:
        origin = connection.origin
        make = partial(asyncio.get_running_loop().create_connection, lambda: connection, sock=sock)
        await (make(ssl=self._tls, server_hostname=origin.host) if origin.is_tls else make())
        if not connection.is_open:
            raise Closed("closed")
        self._open.add(connection)

    async def _addresses(self, origin: Origin) -> _Addresses:
        loop = asyncio.get_running_loop()
        known = self._names.get(origin)
        if known is not None and loop.time() < known[0]:
            return known[1]
        found: _Addresses = await loop.getaddrinfo(
            origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        if not origin.is_trusted:
            found = [entry for entry in found if not is_refused(str(entry[4][0]), self._private_networks)]
            if not found:
                raise PrivateAddress("only private addresses")
        self._names[origin] = (loop.time() + _NAMES_SECONDS, found)
        return found

    def _lost(self, connection: Connection) -> None:
        if connection not in self._open:
            return  # it was never handed out
        self._open.discard(connection)
        idle = self._lanes[connection.origin].idle
        if connection in idle:
            idle.remove(connection)
        self._forget(connection.origin)

    def _forget(self, origin: Origin) -> None:
        lane = self._lanes[origin]
        lane.count -= 1
        lane.wake_one()
        if not lane.count and not lane.waiting:
            # bounded by what is open: base URLs come and go with providers
            self._lanes.pop(origin, None)
            self._names.pop(origin, None)

    def _sweep(self) -> None:
        """Close what was idle for too long."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        until = loop.time() - self._keep_seconds
        left: list[float] = []
        for lane in self._lanes.values():
            for connection in lane.idle:
                if connection.idle_since <= until:
                    connection.close()
                else:
                    left.append(connection.idle_since)
        if left:
            self._sweeper = loop.call_later(max(min(left) - until, 0.1), self._sweep)
