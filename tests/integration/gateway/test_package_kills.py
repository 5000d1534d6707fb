"""`kill -9` in the middle of an import: all of a package is there, or nothing of it, in the database and on the bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agreement import in_the_database, on_the_bus, rows
from gateway_process import ADMIN, gateway_process

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.audit.tables import AuditEntry
from llm_manager.gateway.tables import Configuration, Package
from llm_manager.kit.sql import open_database
from llm_manager.testing.nats import NatsServer

MODELS = 400
# Where in an import the gateway is killed.
PARTS = (0.3, 0.6, 0.9)


def package(name: str) -> dict[str, Any]:
    models = [{"name": f"{name} {i}", "provider": "echo", "upstream_model": "echo"} for i in range(MODELS)]
    return {"manifest": {"name": name, "version": "1"}, "configurations": models}


@pytest.fixture
def own_bus() -> Iterator[str]:
    with NatsServer() as server:
        yield server.url


async def test_an_import_that_is_killed_is_there_whole_or_not_at_all(own_bus: str, tmp_path: Path) -> None:
    key, answered = new_api_key().token, set[str]()
    for part in PARTS:
        async with (
            gateway_process(own_bus, tmp_path / "gateway.db", bootstrap_api_key=key) as gateway,
            httpx2.AsyncClient(base_url=f"{gateway.url}/api/v1", auth=ADMIN, timeout=60) as admin,
        ):
            begun = time.monotonic()
            tried = await admin.post("/packages", json=package("tried"), params={"dry_run": True})
            assert tried.json()["statistics"]["configurations"]["created"] == MODELS
            took = time.monotonic() - begun
            importing = asyncio.create_task(admin.post("/packages", json=package(f"p{part}")))
            await asyncio.sleep(took * part)
            await gateway.kill()
            try:
                if (await importing).status_code == 200:
                    answered.add(f"p{part}")
            except httpx2.TransportError:
                pass
    async with (
        gateway_process(own_bus, tmp_path / "gateway.db", bootstrap_api_key=key),
        open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database,
    ):
        names = [row.name for row in await rows(database, Configuration)]
        counts = {f"p{part}": sum(name.startswith(f"p{part} ") for name in names) for part in PARTS}
        assert set(counts.values()) <= {0, MODELS}
        whole = {name for name, count in counts.items() if count}
        assert whole >= answered
        # somebody who changed the parts so that none falls into the middle would test nothing
        assert len(whole) < len(PARTS)
        assert not [name for name in names if name.startswith("tried ")]
        assert {row.name for row in await rows(database, Package)} == whole
        told = [entry for entry in await rows(database, AuditEntry) if entry.resource == "configurations"]
        assert len(told) == MODELS * len(whole)
        assert await on_the_bus(own_bus) == await in_the_database(database)
