"""The queue of password checks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llm_manager.core.errors import GatewayRateLimited
from llm_manager.gateway.users.checks import PasswordChecks


class Slow:
    """Checks that end when they are let, and what was checked."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.checked: list[str] = []

    def __call__(self, password: str, password_hash: str) -> bool:
        self.checked.append(password)
        self.has_begun.set()
        self.may_end.wait(30)
        return password == password_hash


async def test_what_finds_no_room_is_refused_at_once_and_two_are_checked_at_a_time() -> None:
    slow = Slow()
    checks = PasswordChecks(slow)
    waiting = [asyncio.create_task(checks.is_good(str(number), "3", room=4)) for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(GatewayRateLimited) as refused:
        await checks.is_good("one more", "3", room=4)
    assert refused.value.retry_after_seconds == 1
    assert set(slow.checked) <= {"0", "1"}
    slow.may_end.set()
    assert await asyncio.gather(*waiting) == [False, False, False, True]
    assert await checks.is_good("3", "3", room=1)


async def test_who_leaves_frees_a_place_only_when_its_check_has_ended() -> None:
    slow = Slow()
    checks = PasswordChecks(slow)
    left = asyncio.create_task(checks.is_good("left", "", room=1))
    assert await asyncio.to_thread(slow.has_begun.wait, 30)
    left.cancel()
    await asyncio.wait([left])
    with pytest.raises(GatewayRateLimited):
        await checks.is_good("next", "", room=1)
    slow.may_end.set()
