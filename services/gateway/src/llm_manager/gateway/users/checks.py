"""Checks passwords against hashes, few at once and with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from llm_manager.core.errors import GatewayRateLimited
from llm_manager.gateway.users.store import is_password

# A check costs 20 ms and 19 MiB.
_AT_ONCE = 2
_RETRY_SECONDS = 1.0


class PasswordChecks:
    """Threads of its own, so that a caller who leaves frees its place only when its check has ended."""

    def __init__(self, check: Callable[[str, str], bool] = is_password) -> None:
        self._check = check
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._open: list[Future[bool]] = []

    async def is_good(self, password: str, password_hash: str, *, room: int) -> bool:
        """Check a password after those that wait already.

        Args:
            room: most checks that may be open before this one.

        Raises:
            GatewayRateLimited: there are more, and nothing was checked.
        """
        self._open = [check for check in self._open if not check.done()]
        if len(self._open) >= room:
            raise GatewayRateLimited("Too many log-ins at once; try again.", retry_after_seconds=_RETRY_SECONDS)
        check = self._threads.submit(self._check, password, password_hash)
        self._open.append(check)
        return await asyncio.wrap_future(check)
