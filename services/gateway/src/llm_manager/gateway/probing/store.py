"""Writes what was found out about a provider."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import CursorResult, or_, update

from llm_manager.gateway.catalogue.records import ProviderProfile, ProviderRecord
from llm_manager.gateway.catalogue.store import provider_record
from llm_manager.gateway.tables import Provider
from llm_manager.kit.sql import Database


class ProfileStore:
    """One transaction per call. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, provider_id: str, *, now: datetime, until: datetime) -> bool:
        """Return whether this gateway may probe a provider; the others then leave it alone until the claim ends."""
        free = or_(Provider.probing_until.is_(None), Provider.probing_until <= now)
        statement = update(Provider).where(Provider.id == provider_id, free).values(probing_until=until)
        async with self._database.session() as session:
            result = await session.execute(statement)
            return isinstance(result, CursorResult) and result.rowcount == 1

    async def save(self, provider_id: str, profile: ProviderProfile) -> ProviderRecord | None:
        """Store a profile; None when the provider is gone, or moved to another address meanwhile."""
        async with self._database.session() as session:
            row = await session.get(Provider, provider_id)
            if row is None or row.base_url != profile.base_url:
                return None
            row.profile, row.probing_until = msgspec.to_builtins(profile), None
            await session.flush()
            return provider_record(row)
