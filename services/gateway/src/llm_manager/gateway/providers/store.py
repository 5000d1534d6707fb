"""Reads and writes the table of providers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.catalogue.environment import Wanted
from llm_manager.gateway.catalogue.store import EnvironmentStore
from llm_manager.gateway.tables import ENVIRONMENT, Configuration, Provider
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database


class ProviderStore:
    """One transaction per call. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database, box: SecretBox, audit: AuditStore) -> None:
        self._database = database
        self._audit = audit
        self._environment = EnvironmentStore(box)

    async def list(self) -> Sequence[tuple[Provider, int]]:
        """Return every enabled provider with the number of its enabled configurations, by name."""
        count = (
            select(func.count())
            .select_from(Configuration)
            .where(Configuration.provider_id == Provider.id, Configuration.is_enabled)
            .scalar_subquery()
        )
        query = select(Provider, count).where(Provider.is_enabled).order_by(Provider.name)
        async with self._database.session(read_only=True) as session:
            return [(row, models or 0) for row, models in await session.execute(query)]

    async def find(self, name: str) -> Provider | None:
        """Return an enabled provider, None when there is no such one."""
        async with self._database.session(read_only=True) as session:
            return await session.scalar(select(Provider).where(Provider.name == name, Provider.is_enabled))

    async def forget(self, subject: Subject, name: str, rest: Wanted) -> None:
        """Delete what the environment once gave a provider, and bring everything else of it to `rest`."""
        async with self._database.session() as session:
            kept = (Provider.name == name, Provider.managed_by == ENVIRONMENT)
            row = await session.scalar(select(Provider).where(*kept))
            if row is not None:
                said = {"name": row.name, "kind": row.kind}
                row.is_enabled, row.credentials, row.base_url, row.profile = False, [], "", None
                await session.flush()
                await self._environment.apply(session, rest)
                # last, as everywhere: the end of the chain is locked behind the rows, so that two never wait in a ring
                await self._audit.add(
                    session, subject, "deleted", resource="providers", resource_id=row.name, before=said
                )
