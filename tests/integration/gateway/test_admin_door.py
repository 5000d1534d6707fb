"""The door of the admin API under attack, over real sockets: all clients share one address, as behind a proxy."""

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

OWNER = ("admin", "seven wet umbrellas in May")
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


async def test_a_name_that_nobody_has_costs_one_check_as_any_other(start: Any, checked: list[str]) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, timeout=60) as client:
        await client.post("/api/v1/users", auth=OWNER, json={"name": "off", "password": OWNER[1], "is_enabled": False})
        checked.clear()
        answers = [await client.get(PATH, auth=(name, f"by {name}")) for name in ("admin", "nobody", "off")]
        said = {"name": "nobody", "password": "by session"}
        answers.append(await client.post("/api/v1/session", json=said))
    assert checked == ["by admin", "by nobody", "by off", "by session"]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert len({answer.text for answer in answers}) == 1


async def test_every_user_who_was_let_in_before_gets_in_while_others_fail_behind_the_same_address(
    start: Any, checked: list[str]
) -> None:
    users = [(f"user {number}", f"password of user {number}") for number in range(3)]
    async with start() as served, httpx2.AsyncClient(base_url=served.url, limits=MANY, timeout=60) as client:
        for name, password in users:
            said = {"name": name, "password": password, "roles": ["super-admin"]}
            assert (await client.post("/api/v1/users", auth=OWNER, json=said)).status_code == 201
            assert (await client.get(PATH, auth=(name, password))).status_code == 200
        checked.clear()
        wrong = [client.get(PATH, auth=("user 1", f"wrong {number}")) for number in range(100)]
        right = [client.get(PATH, auth=user) for user in users * 3]
        by_session = [client.post("/api/v1/session", json={"name": name, "password": word}) for name, word in users]
        answers = await asyncio.gather(*wrong, *right, *by_session)
    assert [answer.status_code for answer in answers[100:]] == [200] * 12
    assert 5 <= len(checked) <= 10
    assert not {word for _, word in users} & set(checked)


async def test_a_password_that_a_person_changed_opens_and_the_old_one_does_not(start: Any, checked: list[str]) -> None:
    ann, changed = ("ann", "the first sentence of ann"), ("ann", "the second sentence of ann")
    async with start() as served, httpx2.AsyncClient(base_url=served.url, timeout=60) as client:
        await client.post("/api/v1/users", auth=OWNER, json={"name": ann[0], "password": ann[1]})
        mine = "/api/v1/session"
        before = await client.get(mine, auth=ann)
        await client.patch("/api/v1/users/ann", auth=OWNER, json={"password": changed[1]})
        tries = [ann, changed, changed, ann, changed]
        checked.clear()
        after = [await client.get(mine, auth=one) for one in tries]
    assert [answer.status_code for answer in (before, *after)] == [200, 401, 200, 200, 401, 200]
    assert checked == [ann[1], changed[1], ann[1]]
