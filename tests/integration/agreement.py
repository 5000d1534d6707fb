"""What the database of a gateway and the bus say, to be compared."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from llm_manager.gateway.catalogue.records import kv_key
from llm_manager.gateway.catalogue.store import RECORD_KINDS
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.names import BUCKET_CONFIG
from llm_manager.kit.sql import Database


async def rows(database: Database, table: type[Any]) -> list[Any]:
    """Return every row of a table."""
    async with database.session(read_only=True) as session:
        return list(await session.scalars(select(table)))


async def on_the_bus(nats_url: str) -> dict[str, bytes]:
    """Return every record of the catalogue as the bus has it, by key."""
    told: dict[str, bytes | None] = {}
    async with connect(nats_url, name="test") as bus, kv.watch(bus, BUCKET_CONFIG, told.__setitem__):
        return {key: value for key, value in told.items() if value is not None}


async def in_the_database(database: Database) -> dict[str, bytes]:
    """Return every record of the catalogue as the database has it, by key."""
    found: dict[str, bytes] = {}
    for kind in RECORD_KINDS:
        for row in await rows(database, kind.table):
            record = kind.to_record(row)
            found[kv_key(record)] = msgspec.json.encode(record)
    return found
