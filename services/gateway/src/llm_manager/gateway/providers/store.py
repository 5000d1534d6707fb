"""Reads and writes the table of providers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import func, select

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.catalogue.environment import Wanted
from llm_manager.gateway.catalogue.store import EnvironmentStore, sealed_keys, set_sealed_keys
from llm_manager.gateway.secrets.sealed import SealedTable
from llm_manager.gateway.tables import ENVIRONMENT, Configuration, Provider
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database


def _walk(row: Provider, put: Callable[[bytes, bytes], bytes]) -> None:
    keys = sealed_keys(row)
    set_sealed_keys(row, [replace(key, envelope=put(key.envelope, CREDENTIAL_AAD)) for key in keys])
    if row.headers is not None:
        row.headers = put(row.headers, HEADERS_AAD)


SEALED = SealedTable(Provider, _walk)


class ProviderStore:
    """One transaction per call. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database, box: SecretBox, audit: AuditStore) -> None:
        self._database = database
        self._audit = audit
        self._environment = EnvironmentStore(box)

    async def models(self, provider_ids: Sequence[str]) -> dict[str, int]:
        """Return how many configurations that are on lead to each provider; those without any are left out."""
        query = (
            select(Configuration.provider_id, func.count())
            .where(Configuration.provider_id.in_(provider_ids), Configuration.is_enabled)
            .group_by(Configuration.provider_id)
        )
        async with self._database.session(read_only=True) as session:
            return {row[0]: int(row[1]) for row in await session.execute(query)}

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
