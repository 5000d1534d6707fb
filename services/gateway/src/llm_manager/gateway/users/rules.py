"""How often a door may be tried, and by whom; pure.

Failures are counted per peer and taken before a password is checked, so that many at once are no more than one after
the other. Nobody is locked out by others: a peer without failures always has a try, and a credential that is known to
be good passes whatever failed before it. Comparing with it costs microseconds and would be an oracle if it were free
for a peer that is locked, so those comparisons have an allowance, a larger one where the admin has been let in before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

_Value = TypeVar("_Value")

_FREE_FAILURES, _FREE_UNDER_ATTACK = 5, 1
_LOCK_SECONDS, _LONGEST_LOCK_SECONDS, _FORGET_SECONDS = 1.0, 30.0, 900.0
# More failures than this, from wherever they come, and each peer that was never let in has one free try, not five.
_ACCOUNT_FAILURES = 100
# Comparisons that locked peers may have: at most 25 guesses a second in all, 2 million a day; and a burst of hundreds,
# in which the owner behind the same address still gets in.
_STRANGERS_BURST, _STRANGERS_PER_SECOND = 500, 5.0
_KNOWN_BURST, _KNOWN_PER_SECOND = 1_000, 20.0
_MOST_PEERS, _MOST_KNOWN = 10_000, 1_000
_LONGEST_NAME = 64


class Room(IntEnum):
    """How many checks may stand before one's own in the queue: the worse a peer's record, the sooner it is full."""

    FAILED = 6
    NEW = 12
    KNOWN = 16


class Allowance:
    """A number of tries that fills up again with time."""

    def __init__(self, most: float, per_second: float, clock: Callable[[], float]) -> None:
        self._most, self._per_second, self._clock = most, per_second, clock
        self._left, self._at = most, clock()

    @property
    def left(self) -> float:
        """How many are left now."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        return self._left

    def take(self) -> bool:
        """Take one; False when there is none."""
        if self.left < 1:
            return False
        self._left -= 1
        return True


class Throttle:
    """Counts failures per peer; after the free ones the wait doubles from a second to half a minute.

    Every table is bounded: what was used longest ago is forgotten first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._account = Allowance(_ACCOUNT_FAILURES, _ACCOUNT_FAILURES / _FORGET_SECONDS, clock)
        self._for_known = Allowance(_KNOWN_BURST, _KNOWN_PER_SECOND, clock)
        self._for_strangers = Allowance(_STRANGERS_BURST, _STRANGERS_PER_SECOND, clock)

    def wait_seconds(self, peer: str) -> float:
        """Return how long a peer must wait before its next password is checked; 0 when it is checked now."""
        count, last = self._counted(peer)
        is_eased = peer in self._known or self._account.left >= 1
        free = _FREE_FAILURES if is_eased else _FREE_UNDER_ATTACK
        if count < free:
            return 0.0
        lock = min(_LOCK_SECONDS * 2 ** min(count - free, 10), _LONGEST_LOCK_SECONDS)
        return max(0.0, last + lock - self._clock())

    def reserve(self, peer: str) -> float:
        """Count a failure before the password is checked and return 0, or return the wait and count nothing."""
        wait = self.wait_seconds(peer)
        if wait > 0:
            return wait
        count, _ = self._counted(peer)
        self._failures.pop(peer, None)
        self._failures[peer] = (count + 1, self._clock())
        _shrink(self._failures, _MOST_PEERS)
        self._account.take()
        return 0.0

    def give_back(self, peer: str) -> None:
        """Undo one `reserve`: the password was right, or was never checked."""
        count, last = self._counted(peer)
        if count > 1:
            self._failures[peer] = (count - 1, last)
        else:
            self._failures.pop(peer, None)

    def may_compare(self, peer: str) -> bool:
        """Whether a credential may be compared with the good one; takes from the allowance of locked peers."""
        if self.wait_seconds(peer) <= 0:
            return True  # a wrong one is checked and counted next
        return (self._for_known if peer in self._known else self._for_strangers).take()

    def let_in(self, peer: str) -> None:
        """Remember that the admin came from this peer. Its failures stay: others may share the address."""
        self._known.pop(peer, None)
        self._known[peer] = None
        _shrink(self._known, _MOST_KNOWN)

    def room(self, peer: str) -> Room:
        """Return the peer's place in the queue of checks; asked before `reserve`."""
        if peer in self._known:
            return Room.KNOWN
        return Room.FAILED if self._counted(peer)[0] else Room.NEW

    def _counted(self, peer: str) -> tuple[int, float]:
        count, last = self._failures.get(peer, (0, 0.0))
        return (0, 0.0) if self._clock() - last > _FORGET_SECONDS else (count, last)


def peer_of(address: str) -> str:
    """Return whom an address stands for: itself, or for IPv6 its /64, which is what one subscriber gets."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_LONGEST_NAME]
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    return str(ip)


def _shrink(table: OrderedDict[str, _Value], most: int) -> None:
    while len(table) > most:
        table.popitem(last=False)
