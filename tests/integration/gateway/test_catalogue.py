"""The catalogue across database, bus and several gateways."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from llm_manager.core.ids import new_api_key
from llm_manager.gateway import bootstrap, tables
from llm_manager.gateway.app import Gateway
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import open_database
from llm_manager.testing.answering_worker import AnsweringWorker
from llm_manager.testing.master_key import MASTER_KEY
from llm_manager.testing.nats import NatsServer

ADMIN = ("admin", "seven wet umbrellas in May")
GOOD = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
TABLES = (tables.App, tables.Key, tables.Provider, tables.Configuration, tables.Alias, tables.User)


async def _rows(folder: Path) -> dict[str, list[tuple[str, int, bool]]]:
    async with (
        open_database(f"sqlite+aiosqlite:///{folder}/gateway.db") as database,
        database.session(read_only=True) as session,
    ):
        return {
            table.__tablename__: [
                (row.id, row.revision, row.is_enabled)
                for row in await session.scalars(select(table).order_by(table.id))
            ]
            for table in TABLES
        }


@pytest.mark.requirement("S205")
async def test_a_second_start_changes_nothing(start: Any, tmp_path: Path) -> None:
    async with start() as first:
        before, names = await _rows(tmp_path), dict(first.gateway.parts.catalogue.snapshot.configurations)
    async with start() as second:
        assert await _rows(tmp_path) == before
        assert second.gateway.parts.catalogue.snapshot.configurations == names
    assert all(before.values())


async def test_a_variable_that_changes_changes_its_row_and_one_that_goes_leaves_it(start: Any, tmp_path: Path) -> None:
    box = SecretBox(MASTER_KEY)

    def credential(gateway: Gateway) -> bytes:
        sealed = gateway.parts.catalogue.snapshot.providers["openai"].credentials[0]
        return box.open(sealed, aad=b"provider-credential")

    async with start(environ={"OPENAI_API_KEY": "sk-first"}) as served:
        assert credential(served.gateway) == b"sk-first"
    async with start(environ={"OPENAI_API_KEY": "sk-second", "OPENAI_BASE_URL": "http://x/v1"}) as served:
        assert credential(served.gateway) == b"sk-second"
        assert served.gateway.parts.catalogue.snapshot.providers["openai"].base_url == "http://x/v1"
    async with start(environ={}) as served:
        snapshot = served.gateway.parts.catalogue.snapshot
        assert set(snapshot.providers) == {"echo", "openai"}
        assert (credential(served.gateway), snapshot.providers["openai"].base_url) == (b"sk-second", "http://x/v1")
        assert "gpt-4.1-mini" in snapshot.configurations
    assert b"sk-second" not in (tmp_path / "gateway.db").read_bytes()
    async with start(environ={"OPENAI_API_KEY": "sk-third"}) as served:
        assert credential(served.gateway) == b"sk-third"


async def test_a_new_bootstrap_key_revokes_the_old_one(start: Any) -> None:
    new = new_api_key().token
    async with start() as served:
        old = served.api_key
    async with start(bootstrap_api_key=new) as served, httpx2.AsyncClient(base_url=served.url) as client:
        statuses = [
            (await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})).status_code
            for key in (old, new)
        ]
    assert statuses == [401, 200]


async def test_another_gateway_knows_within_a_second(start: Any) -> None:
    async with start() as here, start() as there, httpx2.AsyncClient(base_url=here.url, auth=ADMIN) as admin:
        made = (await admin.post("/api/v1/keys", json={"name": "laptop"})).json()
        bearer = {"authorization": f"Bearer {made['api_key']}"}
        async with httpx2.AsyncClient(base_url=there.url, headers=bearer) as client:
            assert await _seconds_until(client, 200) < 1
            await admin.delete(f"/api/v1/keys/{made['id']}")
            assert (await client.get(f"{here.url}/v1/models/echo")).status_code == 401
            assert await _seconds_until(client, 401) < 1


async def _seconds_until(client: httpx2.AsyncClient, status: int) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(5):
        while (await client.get("/v1/models/echo")).status_code != status:  # noqa: ASYNC110 # over HTTP there is no event
            await asyncio.sleep(0.01)
    return loop.time() - began


async def test_without_the_database_a_start_serves_from_the_bus(
    start: Any, near_worker: AnsweringWorker, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    async with start():
        pass
    async with (
        start(database_url=f"sqlite+aiosqlite:///{tmp_path}/folder") as served,
        httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client,
    ):
        chat = await client.post("/v1/chat/completions", json=GOOD)
        unknown = {"authorization": f"Bearer {new_api_key().token}"}
        refused = await client.get("/v1/models", headers=unknown)
        write = await client.post("/api/v1/keys", json={"name": "x"}, headers={"authorization": _basic()})
    assert (chat.status_code, refused.status_code) == (200, 503)
    assert (write.status_code, write.json()["error"]["code"]) == (503, "store_unavailable")
    assert len(near_worker.requests) == 1


def _basic() -> str:
    return "Basic " + base64.b64encode(":".join(ADMIN).encode()).decode()


async def test_while_the_bus_is_away_an_unknown_key_is_no_401(start: Any, mortal_nats_server: NatsServer) -> None:
    async with start(nats_url=mortal_nats_server.url) as served:
        mortal_nats_server.kill()
        async with asyncio.timeout(5):
            while served.gateway.parts.catalogue.is_current:  # noqa: ASYNC110 # a property, no event
                await asyncio.sleep(0.01)
        async with httpx2.AsyncClient(base_url=served.url) as client:
            unknown = {"authorization": f"Bearer {new_api_key().token}"}
            stranger = await client.post("/v1/chat/completions", json=GOOD, headers=unknown)
            friend = await client.post("/v1/chat/completions", json=GOOD, headers=served.bearer)
            listed = await client.get("/v1/models", headers=served.bearer)
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (503, "store_unavailable")
        assert (friend.status_code, friend.json()["error"]["code"]) == (503, "bus_unavailable")
        assert listed.status_code == 200
        assert "bus" in served.ops.reasons() or "lifecycle" in served.ops.reasons()
        mortal_nats_server.restart()


async def test_records_of_a_database_that_is_gone_are_cleaned_up(start: Any, bus: Bus, tmp_path: Path) -> None:
    async with start() as served:
        old = served.bearer
    (tmp_path / "gateway.db").unlink()
    async with (
        start(bootstrap_api_key=new_api_key().token) as served,
        httpx2.AsyncClient(base_url=served.url) as client,
    ):
        assert (await client.get("/v1/models", headers=old)).status_code == 401
    seen: dict[str, bytes | None] = {}
    async with kv.watch(bus, "config", seen.__setitem__):
        pass
    assert sum(key.startswith("app.") for key, value in seen.items() if value is not None) == 1


async def test_two_gateways_may_start_at_once(start: Any, tmp_path: Path) -> None:
    async def once() -> int:
        async with start() as served:
            return len(served.gateway.parts.catalogue.snapshot.configurations)

    counts = await asyncio.gather(once(), once())
    assert counts[0] == counts[1]
    async with (
        open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database,
        database.session(read_only=True) as session,
    ):
        assert await session.scalar(select(func.count()).select_from(tables.App)) == 1


async def test_a_record_that_cannot_be_read_is_left_out(start: Any, bus: Bus) -> None:
    async with start() as served:
        catalogue = served.gateway.parts.catalogue
        before = catalogue.snapshot
        catalogue.on_change("provider.bad", b"{")
        catalogue.on_change("configuration.bad", b'{"id":"x"}')
        catalogue.on_change("price_book", b"{}")
        assert catalogue.snapshot is before


async def test_old_news_do_not_undo_new_ones(start: Any) -> None:
    async with start() as served:
        catalogue = served.gateway.parts.catalogue
        record = catalogue.snapshot.providers["echo"]
        newer = b'{"id":"%b","revision":9,"is_enabled":false,"name":"echo","kind":"echo"}' % record.id.encode()
        older = newer.replace(b"9", b"8", 1).replace(b"false", b"true") if b"9" not in record.id.encode() else b""
        catalogue.on_change("provider.echo", newer)
        if older:
            catalogue.on_change("provider.echo", older)
        assert "echo" not in catalogue.snapshot.providers


async def test_a_port_is_looked_for() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await bootstrap.answering({"here": ("127.0.0.1", port), "nowhere": ("127.0.0.1", 9)})
    server.close()
    assert found == {"here"}
