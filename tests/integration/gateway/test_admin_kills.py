"""`kill -9` in the middle of changes, and a database that is away: what was answered holds, and nothing is half."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agreement import in_the_database, on_the_bus, rows
from gateway_process import ADMIN, gateway_process
from sqlalchemy import make_url

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.audit.tables import AuditEntry
from llm_manager.gateway.tables import Alias, Configuration, Key, Provider, Table
from llm_manager.kit.sql import Database, open_database
from llm_manager.testing.answering_worker import AnsweringWorker
from llm_manager.testing.nats import NatsServer

pytest_plugins = ["llm_manager.testing.postgresql"]
GOOD = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
WRITERS, KILLS, SEED = 4, 3, 7
TABLES: dict[str, type[Table]] = {"configurations": Configuration, "aliases": Alias, "keys": Key}


@dataclass
class Acknowledged:
    """What was answered by 2xx: ids by resource, and the default that was set last by each writer."""

    ids: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in TABLES})
    defaults: int = 0
    asked: int = 0


async def write_until_it_is_gone(url: str, names: Iterator[int], done: Acknowledged) -> None:
    """Make configurations, aliases and keys, and move the default, one after the other."""
    async with httpx2.AsyncClient(base_url=f"{url}/api/v1", auth=ADMIN, timeout=10) as admin:
        try:
            while True:
                name = f"made {next(names)}"
                bodies = {
                    "configurations": {"name": name, "provider": "echo", "upstream_model": "echo"},
                    "aliases": {"name": f"alias {name}", "configuration": name},
                    "keys": {"name": name},
                }
                for resource, body in bodies.items():
                    done.asked += 1
                    answer = await admin.post(f"/{resource}", json=body)
                    assert answer.status_code == 201, answer.text
                    done.ids[resource].append(answer.json()["id"])
                done.asked += 1
                answer = await admin.patch(f"/configurations/{name}", json={"is_default": True})
                assert answer.status_code == 200, answer.text
                done.defaults += 1
        except httpx2.TransportError:
            return


@pytest.fixture
def own_bus() -> Iterator[str]:
    with NatsServer() as server:
        yield server.url


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as opened:
        yield opened


async def test_a_gateway_that_is_killed_keeps_what_it_answered_and_leaves_nothing_half(
    own_bus: str, tmp_path: Path, database: Database
) -> None:
    done, names, key, chance = Acknowledged(), itertools.count(), new_api_key().token, random.Random(SEED)
    for _ in range(KILLS):
        async with (
            gateway_process(own_bus, tmp_path / "gateway.db", bootstrap_api_key=key) as gateway,
            asyncio.TaskGroup() as writers,
        ):
            for _ in range(WRITERS):
                writers.create_task(write_until_it_is_gone(gateway.url, names, done))
            before = done.asked
            async with asyncio.timeout(10):
                while done.asked < before + 20:  # noqa: ASYNC110 # over HTTP there is no event
                    await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 0.3))
            await gateway.kill()
    async with gateway_process(own_bus, tmp_path / "gateway.db", bootstrap_api_key=key) as gateway:
        await expect_everything_whole(database, done)
        known = await in_the_database(database)
        assert await on_the_bus(own_bus) == known
        default = next(row for row in await rows(database, Configuration) if row.is_default)
        async with httpx2.AsyncClient(base_url=gateway.url, auth=ADMIN, timeout=10) as admin:
            assert (await admin.get("/api/v1/audit/proof")).json()["is_whole"]
            shown = [(await admin.get(f"/api/v1/configurations/{default.id}")).json()["is_default"]]
            assert shown == [True]


async def expect_everything_whole(database: Database, done: Acknowledged) -> None:
    created = {
        (entry.resource, entry.resource_id) for entry in await rows(database, AuditEntry) if entry.action == "created"
    }
    for resource, table in TABLES.items():
        # what the environment gives was not made by anybody
        there = {row.id for row in await rows(database, table) if row.managed_by == "admin"}
        assert there >= set(done.ids[resource])
        assert {(resource, row_id) for row_id in there} == {entry for entry in created if entry[0] == resource}
        # whoever was killed may have committed what nobody heard of, one for each writer and kill at most
        assert len(there) - len(done.ids[resource]) <= WRITERS * KILLS
    assert done.defaults > KILLS
    assert sum(row.is_default for row in await rows(database, Configuration)) == 1
    sequences = [entry.sequence async for page in AuditStore(database).every() for entry, _ in page]
    assert sequences == list(range(1, len(sequences) + 1))


WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "configurations", {"name": "x", "provider": "echo", "upstream_model": "echo"}),
    ("PATCH", "configurations/echo", {"title": "x"}),
    ("DELETE", "configurations/echo", None),
    ("POST", "aliases", {"name": "y", "configuration": "echo"}),
    ("POST", "apps", {"name": "x"}),
    ("POST", "keys", {"name": "x"}),
    ("POST", "providers", {"name": "x", "kind": "echo"}),
    ("POST", "users", {"name": "x", "password": "a sentence that nobody guesses"}),
]


async def refused(served: Any, *, most: int = len(WRITES)) -> set[tuple[int, str]]:
    """How writes are answered, one after the other."""
    seen: set[tuple[int, str]] = set()
    async with httpx2.AsyncClient(base_url=f"{served.url}/api/v1", auth=ADMIN, timeout=30) as admin:
        for method, path, body in WRITES[:most]:
            answer = await admin.request(method, path, json=body)
            seen.add((answer.status_code, answer.json()["error"]["code"]))
    return seen


async def is_served(served: Any) -> bool:
    async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer, timeout=10) as client:
        return (await client.post("/v1/chat/completions", json=GOOD)).status_code == 200


@pytest.mark.usefixtures("near_worker")
async def test_a_database_that_takes_no_writes_stops_no_call_and_writes_are_503(start: Any, tmp_path: Path) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=30) as admin:
        before = (await admin.get("/api/v1/configurations")).json()
        with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            # each waits five seconds for the lock
            answers = asyncio.create_task(refused(served, most=1))
            while not answers.done():
                assert await is_served(served)
                await asyncio.sleep(0.2)
            other.execute("ROLLBACK")
        assert await answers == {(503, "store_unavailable")}
        assert (await admin.get("/api/v1/configurations")).json() == before
        made = await admin.post("/api/v1/configurations", json=WRITES[0][2])
        assert made.status_code == 201


async def test_a_gateway_that_starts_without_a_database_serves_and_refuses_writes(
    start: Any, near_worker: AnsweringWorker, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    async with start() as served:
        known = dict(served.gateway.parts.catalogue.snapshot.configurations)
    async with start(database_url=f"sqlite+aiosqlite:///{tmp_path}/folder") as served:
        assert served.gateway.parts.catalogue.snapshot.configurations == known
        assert await refused(served) == {(503, "store_unavailable")}
        assert await is_served(served)
    assert len(near_worker.requests) == 1
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database:
        assert {row.name for row in await rows(database, Provider)} >= {"echo"}


class Wire:
    """A TCP connection to PostgreSQL that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            writer.transport.abort()
            there_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.usefixtures("near_worker")
async def test_a_database_that_goes_away_stops_no_call_and_is_used_again(start: Any, postgresql_url: str) -> None:
    address = make_url(postgresql_url)
    wire = Wire(address.host or "127.0.0.1", address.port or 5432)
    await wire.mend()
    through = address.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    async with start(database_url=through) as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        assert (await admin.post("/api/v1/apps", json={"name": "before"})).status_code == 201
        await wire.cut()
        assert await refused(served) == {(503, "store_unavailable")}
        assert (await admin.get("/api/v1/apps")).status_code == 503
        assert await is_served(served)
        await wire.mend()
        assert (await admin.post("/api/v1/apps", json={"name": "after"})).status_code == 201
        names = {app["name"] for app in (await admin.get("/api/v1/apps")).json()["data"]}
        assert names == {"default", "before", "after"}
    await wire.cut()
