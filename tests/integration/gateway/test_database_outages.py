"""A PostgreSQL without a free connection: known keys open as before, and nothing needs a restart afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import httpx2
import pytest
from sqlalchemy import make_url

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.catalogue import service
from llm_manager.testing.answering_worker import AnsweringWorker

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
NEVER_MADE = new_api_key().token
_HOG = "hog"
_OTHERS = f"FROM pg_stat_activity WHERE datname = current_database() AND application_name <> '{_HOG}'"


@asynccontextmanager
async def exhausted(url: str) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """Take every connection of the server, those of the gateway included, until the body ends or calls what it gets."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    driver = cast("Any", asyncpg)  # asyncpg has no complete types
    held: list[Any] = []

    async def take_all() -> None:
        while True:
            try:
                held.append(await driver.connect(address, timeout=5, server_settings={"application_name": _HOG}))
            except driver.TooManyConnectionsError:
                return

    async def free() -> None:
        while held:
            await held.pop().close()

    try:
        async with asyncio.timeout(20):
            await take_all()
            while await held[0].fetchval(f"SELECT count(*) {_OTHERS}"):
                await held[0].execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}")
                await asyncio.sleep(0.05)
                await take_all()
        yield free
    finally:
        await free()


async def status(served: Any, key: str) -> tuple[int, str]:
    """How a chat with a key is answered."""
    async with httpx2.AsyncClient(
        base_url=served.url, headers={"authorization": f"Bearer {key}"}, timeout=30
    ) as client:
        answer = await client.post("/v1/chat/completions", json=CHAT)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def made(served: Any, name: str) -> tuple[str, str]:
    """A new key and its id."""
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=30) as admin:
        answer = await admin.post("/api/v1/keys", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()["api_key"], answer.json()["id"]


async def changes(served: Any) -> set[tuple[int, str]]:
    """How the admin API answers who reads and who writes."""
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=30) as admin:
        answers = [await admin.get("/api/v1/keys"), await admin.post("/api/v1/keys", json={"name": "lost"})]
    return {(answer.status_code, answer.json()["error"]["code"]) for answer in answers}


@pytest.mark.requirement("L-22")
async def test_too_many_clients_of_postgresql_lock_nobody_out(
    start: Any, postgresql_url: str, near_worker: AnsweringWorker
) -> None:
    async with start(database_url=postgresql_url) as served:
        known, _ = await made(served, "known")
        revoked, revoked_id = await made(served, "revoked")
        async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
            assert (await admin.delete(f"/api/v1/keys/{revoked_id}")).status_code == 204
        async with exhausted(postgresql_url):
            for _ in range(3):
                assert [(await status(served, key))[0] for key in (served.api_key, known)] == [200, 200]
            # it has read the database and hears of every new key, so these are nobody's
            assert [(await status(served, key))[0] for key in (NEVER_MADE, revoked)] == [401, 401]
            assert await changes(served) == {(503, "store_unavailable")}
            assert (await status(served, known))[0] == 200
            assert "catalogue" not in served.ops.reasons()
        fresh, _ = await made(served, "fresh")
        assert [(await status(served, key))[0] for key in (known, fresh)] == [200, 200]
    assert len(near_worker.requests) == 9


@pytest.mark.requirement("L-22")
@pytest.mark.usefixtures("near_worker")
async def test_a_gateway_that_starts_without_a_free_connection_serves_and_recovers_by_itself(
    start: Any, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_SYNC_SECONDS", 0.2)
    given = new_api_key().token
    async with start(database_url=postgresql_url) as before:
        known, _ = await made(before, "known")
    async with (
        asyncio.timeout(60),
        exhausted(postgresql_url) as free,
        start(database_url=postgresql_url, bootstrap_api_key=given) as served,
    ):
        assert (await status(served, known))[0] == 200
        # what the bus knows may not be all: the first is good, and its row is not written yet
        for key in (given, NEVER_MADE):
            assert await status(served, key) == (503, "store_unavailable")
        assert await changes(served) == {(503, "store_unavailable")}
        assert "catalogue" not in served.ops.reasons()
        await free()
        while (answer := (await status(served, given))[0]) != 200:
            assert answer == 503
            await asyncio.sleep(0.05)
        fresh, _ = await made(served, "fresh")
        assert [(await status(served, key))[0] for key in (known, fresh, NEVER_MADE)] == [200, 200, 401]
