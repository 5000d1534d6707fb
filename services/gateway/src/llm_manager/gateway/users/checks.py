"""Checks and makes hashes of passwords, few at once and with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from llm_manager.core.errors import GatewayRateLimited
from llm_manager.gateway.users.store import hash_password, is_password

# A check costs 20 ms and 19 MiB, and so does a new hash.
_AT_ONCE = 2
_RETRY_SECONDS = 1.0


class PasswordChecks:
    """Threads of its own, so that a caller who leaves frees its place only when its check has ended."""

    def __init__(
        self,
        check: Callable[[str, str], bool] = is_password,
        *,
        make: Callable[[str], str] = hash_password,
    ) -> None:
        self._check = check
        self._make = make
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._open: list[Future[bool] | Future[str]] = []

    async def is_good(self, password: str, password_hash: str, *, room: int) -> bool:
        """Check a password after those that wait already.

        Args:
            room: most checks that may be open before this one.

        Raises:
            GatewayRateLimited: there are more, and nothing was checked.
        """
        self._make_room(room)
        check = self._threads.submit(self._check, password, password_hash)
        self._open.append(check)
        return await asyncio.wrap_future(check)

    async def hashed(self, password: str, *, room: int) -> str:
        """Return the hash of a new password, made after what waits already.

        Raises:
            GatewayRateLimited: see `is_good`.
        """
        self._make_room(room)
        made = self._threads.submit(self._make, password)
        self._open.append(made)
        return await asyncio.wrap_future(made)

    def _make_room(self, room: int) -> None:
        self._open = [check for check in self._open if not check.done()]
        if len(self._open) >= room:
            raise GatewayRateLimited("Too many log-ins at once; try again.", retry_after_seconds=_RETRY_SECONDS)
