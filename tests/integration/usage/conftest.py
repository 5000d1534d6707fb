"""One ClickHouse for the tests of a file, with the ledger's tables."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

import pytest
from usage_events import book, deliver, make_event

from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_migrations import migrate
from llm_manager.testing.clickhouse import fresh_clickhouse
from llm_manager.testing.nats_fixtures import bus, mortal_nats_server, nats_server
from llm_manager.usage.ledger.store import MIGRATIONS

__all__ = ["book", "bus", "deliver", "make_event", "mortal_nats_server", "nats_server"]


@pytest.fixture(scope="module")
async def _shared_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ClickHouse]:
    # of a file, not of a session: a process can have one embedded folder open, and other packages' tests open theirs
    dsn = os.environ.get("LLM_MANAGER_TEST_CLICKHOUSE_URL") or f"chdb://{tmp_path_factory.mktemp('clickhouse')}"
    async with fresh_clickhouse(dsn) as client:
        await migrate(client, MIGRATIONS)
        yield client


@pytest.fixture
async def clickhouse(_shared_clickhouse: ClickHouse) -> ClickHouse:
    """The tables of the ledger, empty."""
    for table in ("usage.events", "usage.rejected"):
        await _shared_clickhouse.command(f"TRUNCATE TABLE {table}")
    return _shared_clickhouse
