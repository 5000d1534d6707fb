"""The queue of password checks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llm_manager.core.errors import GatewayRateLimited
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.store import NO_HASH, hash_password, is_password


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


async def test_hashes_are_made_in_the_same_queue() -> None:
    slow = Slow()
    checks = PasswordChecks(slow, make=str.upper)
    waiting = [asyncio.create_task(checks.is_good("a", "a", room=2)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(GatewayRateLimited):
        await checks.hashed("new", room=2)
    slow.may_end.set()
    assert await asyncio.gather(*waiting) == [True, True]
    assert await checks.hashed("new", room=1) == "NEW"


def test_the_hash_of_nobody_is_checked_like_any_other() -> None:
    assert hash_password("x").rpartition("$")[0].rpartition("$")[0] == NO_HASH.rpartition("$")[0].rpartition("$")[0]
    assert len(hash_password("x")) == len(NO_HASH)
    assert not is_password("x", NO_HASH)
