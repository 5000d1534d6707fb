"""Reads and writes the table of API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from llm_manager.core.errors import Conflict, NotFound
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.catalogue.rules import KeyRecord
from llm_manager.gateway.catalogue.store import key_record
from llm_manager.gateway.tables import ADMIN, App, Key
from llm_manager.kit.sql import Database

_RESOURCE = "keys"


class KeyStore:
    """One transaction per call. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database, audit: AuditStore) -> None:
        self._database = database
        self._audit = audit

    async def list(self) -> Sequence[Key]:
        """Return every key with its app, newest first."""
        async with self._database.session(read_only=True) as session:
            return (await session.scalars(select(Key).order_by(Key.created_at.desc(), Key.id))).all()

    async def insert(
        self, subject: Subject, key_id: str, *, name: str, app_name: str, key_hash: str
    ) -> tuple[Key, KeyRecord]:
        """Store a key.

        Raises:
            NotFound: there is no such app.
            Conflict: a live key of the app has this name.
        """
        try:
            async with self._database.session() as session:
                app = await session.scalar(select(App).where(App.name == app_name))
                if app is None:
                    raise NotFound(f"There is no app {app_name[:100]!r}.", param="app")
                row = Key(id=key_id, app=app, name=name, hash=key_hash)
                session.add(row)
                await session.flush()
                said = {"name": name, "app": app_name}
                await self._audit.add(session, subject, "created", resource=_RESOURCE, resource_id=key_id, after=said)
                return row, key_record(row)
        except IntegrityError as error:
            raise Conflict(f"App {app_name!r} has a key named {name!r}; revoke it or choose another name.") from error

    async def revoke(self, subject: Subject, key_id: str) -> KeyRecord | None:
        """Revoke a key; None when there is no such key."""
        async with self._database.session() as session:
            row = await session.get(Key, key_id)
            if row is None:
                return None
            if row.revoked_at is None:
                # a person decided, so the environment does not bring it back at the next start
                row.revoked_at, row.is_enabled, row.managed_by = datetime.now(UTC), False, ADMIN
                await session.flush()
                said = {"name": row.name, "app": row.app.name}
                await self._audit.add(session, subject, "deleted", resource=_RESOURCE, resource_id=key_id, before=said)
            return key_record(row)
