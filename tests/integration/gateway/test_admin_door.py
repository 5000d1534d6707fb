"""The admin's door under attack, over real sockets: all clients share one address, as behind a proxy."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from llm_manager.gateway.tables import User
from llm_manager.gateway.users import store
from llm_manager.kit.sql import open_database

OWNER = ("admin", "correct horse battery staple")
PATH = "/api/v1/keys"
MANY = httpx2.Limits(max_connections=300)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed, each of which costs 19 MiB and 20 ms."""
    passwords: list[str] = []
    hasher = store._hasher  # pyright: ignore[reportPrivateUsage]  (the one place where hashes are made)

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            passwords.append(password)
            return hasher.verify(password_hash, password)

        def __getattr__(self, name: str) -> Any:
            return getattr(hasher, name)

    monkeypatch.setattr(store, "_hasher", Counting())
    return passwords


async def test_two_hundred_wrong_passwords_at_once_are_five_checks_and_the_owner_gets_in(
    start: Any, checked: list[str]
) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, limits=MANY, timeout=60) as client:
        checked.clear()
        wrong = [client.get(PATH, auth=("admin", f"wrong {number}")) for number in range(200)]
        right = [client.get(PATH, auth=OWNER) for _ in range(10)]
        answers = await asyncio.gather(*wrong[:100], *right, *wrong[100:])
        after = await client.get(PATH, auth=OWNER)
    refused = [answer for answer in answers if answer.status_code == 429]
    # how long the flood takes on a busy machine decides whether a sixth is due
    assert 5 <= len([password for password in checked if password.startswith("wrong")]) <= 10
    assert [answer.status_code for answer in answers[100:110]] == [200] * 10
    assert after.status_code == 200
    assert checked.count(OWNER[1]) == 1
    assert Counter(answer.status_code for answer in answers)[401] == len(checked) - 1
    assert {answer.json()["error"]["code"] for answer in refused} == {"gateway_rate_limited"}
    assert all(0 < int(answer.headers["retry-after"]) <= 30 for answer in refused)


async def test_after_five_failures_the_wrong_are_slowed_down_and_the_owner_is_not(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, limits=MANY, timeout=60) as client:
        wrong = [client.get(PATH, auth=("admin", "wrong")) for _ in range(6)]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*wrong))
        owner = await client.get(PATH, auth=OWNER)
    assert statuses == [401] * 5 + [429]
    assert owner.status_code == 200


async def test_a_password_that_was_changed_no_longer_opens(start: Any, tmp_path: Any) -> None:
    changed = store._hasher.hash("another password")  # pyright: ignore[reportPrivateUsage]
    async with start() as served, httpx2.AsyncClient(base_url=served.url, timeout=60) as client:
        before = await client.get(PATH, auth=OWNER)
        async with (
            open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database,
            database.session() as session,
        ):
            await session.execute(update(User).values(password_hash=changed))
        old = await client.get(PATH, auth=OWNER)
        new = await client.get(PATH, auth=("admin", "another password"))
        old_again = await client.get(PATH, auth=OWNER)
    assert [answer.status_code for answer in (before, old, new, old_again)] == [200, 401, 200, 401]
