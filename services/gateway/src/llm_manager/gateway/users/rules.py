"""How often a door may be tried; pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

_FREE_FAILURES, _LOCK_SECONDS, _LONGEST_LOCK_SECONDS = 5, 5.0, 300.0
_FORGET_SECONDS = 900.0
_MOST_ADDRESSES = 10_000


class Throttle:
    """Counts failures per address; after five the wait doubles with each more, up to five minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return how long an address must wait before the next try; 0 when it may try now."""
        count, last = self._failures.get(address, (0, 0.0))
        if count < _FREE_FAILURES or self._clock() - last > _FORGET_SECONDS:
            return 0.0
        lock = min(_LOCK_SECONDS * 2 ** min(count - _FREE_FAILURES, 10), _LONGEST_LOCK_SECONDS)
        return max(0.0, last + lock - self._clock())

    def failed(self, address: str) -> None:
        """Count a failure."""
        count, last = self._failures.pop(address, (0, 0.0))
        if self._clock() - last > _FORGET_SECONDS:
            count = 0
        self._failures[address] = (count + 1, self._clock())
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)
