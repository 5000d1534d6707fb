"""Writes and reads the audit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Action, Entry, Json, Outcome, chained
from llm_manager.gateway.audit.tables import AuditEntry, AuditHead
from llm_manager.kit.sql import Database

_HEAD = 1
_ROWS_AT_ONCE = 500
_LONGEST_ADDRESS, _LONGEST_ID = 64, 512


class AuditStore:
    """Adds entries in the transaction of what they tell, and reads them. Raises StoreUnavailable like every store."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        session: AsyncSession,
        subject: Subject,
        action: Action,
        *,
        resource: str,
        resource_id: str,
        before: Json | None = None,
        after: Json | None = None,
        outcome: Outcome = "done",
    ) -> None:
        """Add an entry. Whoever comes at the same moment waits until this transaction ends: the chain has one end."""
        head = (await session.scalars(select(AuditHead).where(AuditHead.id == _HEAD).with_for_update())).one()
        entry = Entry(
            sequence=head.sequence + 1,
            at=self._clock(),
            actor_kind=subject.kind,
            actor_id=subject.id,
            actor_name=subject.name,
            action=action,
            outcome=outcome,
            resource=resource,
            resource_id=resource_id[:_LONGEST_ID],
            before=before,
            after=after,
            address=subject.address[:_LONGEST_ADDRESS],
            request_id=subject.request_id,
        )
        head.sequence, head.hash = entry.sequence, chained(entry, previous=head.hash)
        session.add(_row(entry, head.hash))

    async def page(
        self, *conditions: ColumnElement[bool], before: int | None = None, limit: int
    ) -> list[tuple[Entry, str]]:
        """Return entries that fit, newest first, each with its hash.

        Args:
            before: number of the last entry of the page before; None for the first page.
        """
        query = select(AuditEntry).where(*conditions).order_by(AuditEntry.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntry.sequence < before)
        async with self._database.session(read_only=True) as session:
            return [_entry(row) for row in await session.scalars(query)]

    async def every(self) -> AsyncGenerator[list[tuple[Entry, str]]]:
        """Return all entries in their order, page by page."""
        after = 0
        while True:
            query = select(AuditEntry).where(AuditEntry.sequence > after).order_by(AuditEntry.sequence)
            async with self._database.session(read_only=True) as session:
                page = [_entry(row) for row in await session.scalars(query.limit(_ROWS_AT_ONCE))]
            if not page:
                return
            yield page
            after = page[-1][0].sequence

    async def head(self) -> tuple[int, str]:
        """Return the number and the hash at which the chain ends."""
        async with self._database.session(read_only=True) as session:
            row = (await session.scalars(select(AuditHead).where(AuditHead.id == _HEAD))).one()
            return row.sequence, row.hash


def _row(entry: Entry, hashed: str) -> AuditEntry:
    return AuditEntry(
        sequence=entry.sequence,
        at=entry.at,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_name=entry.actor_name,
        action=entry.action,
        outcome=entry.outcome,
        resource=entry.resource,
        resource_id=entry.resource_id,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
        address=entry.address,
        request_id=entry.request_id,
        hash=hashed,
    )


def _entry(row: AuditEntry) -> tuple[Entry, str]:
    # Any: the columns hold what `_row` put in, which their types cannot say
    said: Any = row
    entry = Entry(**{name: getattr(said, name) for name in Entry.__dataclass_fields__})
    return entry, cast("str", said.hash)
