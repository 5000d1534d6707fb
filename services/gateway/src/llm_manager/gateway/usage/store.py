"""Reads the names of what the ledger knows by id."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog
from sqlalchemy import select

from llm_manager.core.errors import StoreUnavailable
from llm_manager.gateway.tables import App, Key
from llm_manager.gateway.usage.rules import TopBy
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

_TABLES: Mapping[TopBy, type[App | Key]] = {TopBy.APP: App, TopBy.KEY: Key}


class NameStore:
    """Names of apps and keys, also of those that are switched off or revoked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, dimension: TopBy, ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of ids; those of other dimensions, and those that nobody knows, are not among them."""
        table = _TABLES.get(dimension)
        if table is None or not ids:
            return {}
        try:
            async with self._database.session(read_only=True) as session:
                rows = await session.execute(select(table.id, table.name).where(table.id.in_(ids)))
                return {row.id: row.name for row in rows}
        except StoreUnavailable as error:
            # the ledger has answered: numbers without names are worth more than neither
            log.warning("names_not_read", error=str(error))
            return {}
