"""A thousand apps with ten thousand keys: what a start takes, what a gateway holds, how soon others know of a change.

The limits are ten times what is aimed at, because the machine of the tests is busy with other things; the figures are
printed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateway_process import gateway_process
from sqlalchemy import insert, select

from llm_manager.core.ids import hash_api_key, new_api_key, uuid7
from llm_manager.gateway.keys.rules import authenticate
from llm_manager.gateway.secrets.rules import Purpose
from llm_manager.gateway.tables import Alias, App, Configuration, Key, Provider
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import open_database
from llm_manager.testing.master_key import MASTER_KEY
from llm_manager.testing.nats import NatsServer

APPS, KEYS, CONFIGURATIONS, ALIASES = 1_000, 10_000, 500, 500
ADMIN = ("admin", "seven wet umbrellas in May")
START_SECONDS, SEEN_SECONDS, CHECK_SECONDS = 2.0, 1.0, 20e-6
SLACK = 10
MOST_BYTES = 60 * 1024 * 1024
PEPPER = SecretBox(MASTER_KEY).derive(Purpose.API_KEY)


def figure(what: str, value: str) -> None:
    sys.stdout.write(f"{APPS} apps, {KEYS} keys, {CONFIGURATIONS} configurations, {ALIASES} aliases: {what} {value}\n")


@pytest.fixture
def large_bus() -> Generator[str]:
    """A server of its own: thousands of records would slow down every other test."""
    with NatsServer() as server:
        yield server.url


async def fill(database: Path) -> list[str]:
    """Write the catalogue past the gateway; return the tokens of all keys."""
    keys = [new_api_key() for _ in range(KEYS)]
    apps = [uuid7() for _ in range(APPS)]
    async with open_database(f"sqlite+aiosqlite:///{database}") as opened, opened.session() as session:
        provider = await session.scalar(select(Provider.id).where(Provider.name == "echo"))
        models = [uuid7() for _ in range(CONFIGURATIONS)]
        common = {"revision": 1}
        await session.execute(insert(App), [{**common, "id": app, "name": f"app {app}"} for app in apps])
        await session.execute(
            insert(Key),
            [
                {
                    **common,
                    "id": key.id,
                    "app_id": apps[at % APPS],
                    "name": f"key {at}",
                    "hash": hash_api_key(key.token, pepper=PEPPER),
                }
                for at, key in enumerate(keys)
            ],
        )
        await session.execute(
            insert(Configuration),
            [
                {**common, "id": model, "name": f"model {at}", "provider_id": provider, "upstream_model": "echo"}
                for at, model in enumerate(models)
            ],
        )
        await session.execute(
            insert(Alias),
            [
                {**common, "id": uuid7(), "name": f"alias {at}", "configuration_id": models[at % CONFIGURATIONS]}
                for at in range(ALIASES)
            ],
        )
    return [key.token for key in keys]


async def seconds_until(condition: Callable[[], bool], *, most: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(most):
        while not condition():  # noqa: ASYNC110 # a property, no event
            await asyncio.sleep(0.002)
    return loop.time() - began


async def test_gateways_start_and_follow_with_ten_thousand_keys(start: Any, tmp_path: Path, large_bus: str) -> None:
    async with start(nats_url=large_bus):
        pass
    tokens = await fill(tmp_path / "gateway.db")
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        gateways: list[Any] = []
        for what in ("first start, which tells the bus,", "second start", "third start"):
            began = loop.time()
            gateways.append(await stack.enter_async_context(start(nats_url=large_bus)))
            figure(what, f"{loop.time() - began:.2f} s")
            assert loop.time() - began < START_SECONDS * SLACK
        catalogues = [served.gateway.parts.catalogue for served in gateways]
        for catalogue in catalogues:
            snapshot = catalogue.snapshot
            assert len(snapshot.keys) == KEYS + 1
            assert len(snapshot.apps) == APPS + 1
            assert {f"model {at}" for at in range(CONFIGURATIONS)} <= snapshot.configurations.keys()
            assert len(snapshot.aliases) >= ALIASES
        async with httpx2.AsyncClient(base_url=gateways[0].url, auth=ADMIN, timeout=30) as admin:
            changed = asyncio.create_task(admin.patch("/api/v1/configurations/model 7", json={"title": "changed"}))
            seen = await asyncio.gather(
                *(
                    seconds_until(
                        lambda known=known: known.snapshot.configurations["model 7"].revision == 2,
                        most=SEEN_SECONDS * SLACK,
                    )
                    for known in catalogues[1:]
                )
            )
            assert (await changed).status_code == 200
            figure("a change, from its request on, was seen elsewhere after", f"{max(seen) * 1000:.0f} ms")
            await admin.delete(f"/api/v1/keys/{tokens[3][8:20]}")
            gone = await seconds_until(
                lambda: all(tokens[3][8:20] not in known.snapshot.keys for known in catalogues), most=SLACK
            )
            figure("a revoked key was gone elsewhere after", f"{gone * 1000:.0f} ms more")


async def test_a_key_among_ten_thousand_is_checked_in_microseconds(start: Any, tmp_path: Path, large_bus: str) -> None:
    async with start(nats_url=large_bus):
        pass
    tokens = await fill(tmp_path / "gateway.db")
    async with start(nats_url=large_bus) as served:
        snapshot, pepper = served.gateway.parts.catalogue.snapshot, PEPPER
        headers = [f"Bearer {token}" for token in tokens[::2]]
        began = time.perf_counter()
        for header in headers:
            authenticate(header, snapshot, pepper=pepper, is_current=True, address="127.0.0.1", now=0.0)
        each = (time.perf_counter() - began) / len(headers)
        figure("a key that was not seen before is checked in", f"{each * 1e6:.1f} us")
        assert each < CHECK_SECONDS * SLACK
        for header in headers:
            served.gateway.parts.caller(header, "127.0.0.1")
        began = time.perf_counter()
        for header in headers:
            served.gateway.parts.caller(header, "127.0.0.1")
        again = (time.perf_counter() - began) / len(headers)
        figure("and one that was, in", f"{again * 1e6:.1f} us")
        assert again < CHECK_SECONDS * SLACK


async def test_a_large_catalogue_takes_little_memory(start: Any, tmp_path: Path, large_bus: str) -> None:
    """Measured in processes of their own, of which one starts with nothing and one with everything."""
    database, key = tmp_path / "gateway.db", new_api_key().token
    async with gateway_process(large_bus, database, bootstrap_api_key=key) as small:
        before = small.rss_bytes()
    tokens = await fill(database)
    async with gateway_process(large_bus, database, bootstrap_api_key=key):
        pass  # the bus is told here, so that the next start is like all later ones
    async with gateway_process(large_bus, database, bootstrap_api_key=key) as large:
        async with httpx2.AsyncClient(base_url=large.url, timeout=30) as client:
            answer = await client.get("/v1/models/alias 3", headers={"authorization": f"Bearer {tokens[9]}"})
            assert answer.status_code == 200
        grown = large.rss_bytes() - before
        figure("memory", f"{before / 2**20:.0f} MiB without them, {grown / 2**20:.1f} MiB more with them")
        figure("process ready after", f"{small.started:.2f} s without them, {large.started:.2f} s with them")
        assert grown < MOST_BYTES
