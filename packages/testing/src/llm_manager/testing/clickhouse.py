"""A real ClickHouse for tests: a server named by LLM_MANAGER_TEST_CLICKHOUSE_URL, else chDB in a temporary folder.

Use it by `pytest_plugins = ["llm_manager.testing.clickhouse"]` in a conftest, or by importing the fixtures.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llm_manager.kit.clickhouse import ClickHouse

_URL = "LLM_MANAGER_TEST_CLICKHOUSE_URL"


@pytest.fixture
def clickhouse_dsn(tmp_path: Path) -> str:
    """Address of an empty ClickHouse. A process can have one embedded folder open at a time: close before the next."""
    return os.environ.get(_URL) or f"chdb://{tmp_path / 'clickhouse'}"


@pytest.fixture
async def clickhouse(clickhouse_dsn: str) -> AsyncGenerator[ClickHouse]:
    """An open client on an empty ClickHouse: no database of ours, no applied migrations."""
    async with fresh_clickhouse(clickhouse_dsn) as client:
        yield client


@asynccontextmanager
async def fresh_clickhouse(dsn: str) -> AsyncGenerator[ClickHouse]:
    """Open a client and, on a server that tests share, drop what the test before it left."""
    async with ClickHouse(dsn) as client:
        if not dsn.startswith("chdb:"):
            await client.command("DROP DATABASE IF EXISTS usage")
            await client.command("DROP TABLE IF EXISTS default.llm_manager_migrations")
        yield client
