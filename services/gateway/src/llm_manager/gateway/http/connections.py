"""All open HTTP connections: how many there may be, how long each may be silent, how much may wait unread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from llm_manager.gateway.http.metrics import CONNECTIONS_ENDED


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of every connection and of all together.

    Args:
        most: connections; one more is refused with 503.
        head_seconds: from the first byte of a request to the end of its headers.
        head_bytes: of headers that are spread over several reads; one read has at most 256 KiB.
        body_seconds: without a byte of a body that is not complete.
        idle_seconds: between requests. Longer than the keep-alive of common load balancers (60 s), so that they and
            not we close idle connections.
        unread_bytes: of an answer that wait for the client before its stream is paused.
        unread_seconds: in which a paused client must take another `unread_bytes`, or all that is left.
        all_unread_bytes: of all connections together; above it those with the most are ended.
        app_share: of `all_unread_bytes` that the connections of one app may hold, so that no app ends another's.
    """

    most: int = 10_000
    head_seconds: float = 10.0
    head_bytes: int = 65_536
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    unread_bytes: int = 65_536
    unread_seconds: float = 30.0
    all_unread_bytes: int = 268_435_456
    app_share: float = 0.5


class Connection(Protocol):
    """One connection, as the registry sees it."""

    def unread_bytes(self) -> int:
        """Return how many bytes wait for the client."""
        ...

    def owner(self) -> str:
        """Return the id of the app that is being answered; empty when none is, or is not known yet."""
        ...

    def enforce(self, now: float) -> None:
        """End what has waited for too long."""
        ...

    def let_go(self) -> None:
        """Take no further request; close now unless a whole request is being answered."""
        ...

    def cut(self) -> None:
        """Drop the connection and all that waits in it."""
        ...


class Connections:
    """The open connections of one server. Somebody must call `sweep` a few times a second."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.is_closing = False
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Keep a new connection, or return False because there are too many."""
        if len(self._open) >= self.limits.most:
            CONNECTIONS_ENDED.labels("too_many").inc()
            return False
        self._open.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is over; unknown ones are ignored."""
        self._open.discard(connection)

    def sweep(self, now: float) -> None:
        """Enforce the deadlines and the bound of all buffers; `now` is the loop's time."""
        held: dict[str, list[Connection]] = {}
        for connection in tuple(self._open):
            connection.enforce(now)
            if connection.unread_bytes():
                held.setdefault(connection.owner(), []).append(connection)
        if not held:
            return
        most = self.limits.all_unread_bytes
        left = held.pop("", [])
        for connections in held.values():
            left += _relieve(connections, int(most * self.limits.app_share))
        _relieve(left, most)

    def let_go(self) -> None:
        """Close what is idle or half open, and everything else behind the answer under way."""
        self.is_closing = True
        for connection in tuple(self._open):
            connection.let_go()

    def cut(self) -> None:
        """Drop every connection."""
        for connection in tuple(self._open):
            connection.cut()


def _relieve(connections: list[Connection], most: int) -> list[Connection]:
    """End those with the most that waits, until no more than `most` bytes do; return the others."""
    total = sum(connection.unread_bytes() for connection in connections)
    left = sorted(connections, key=lambda one: one.unread_bytes())
    while total > most:
        fullest = left.pop()
        total -= fullest.unread_bytes()
        CONNECTIONS_ENDED.labels("buffers_full").inc()
        fullest.cut()
    return left
