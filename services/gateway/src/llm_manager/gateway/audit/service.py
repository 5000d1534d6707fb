"""Reading the audit, and proving that it is whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement

from llm_manager.gateway.audit.rules import START, Entry, first_broken
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.audit.tables import AuditEntry

MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries to show; empty and None mean all.

    Args:
        actor: id or name of who acted.
        start, end: first instant, inclusive; last instant, exclusive.
        before: number of the last entry of the page before.
    """

    resource: str = ""
    resource_id: str = ""
    actor: str = ""
    request_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the chain holds; `broken_at` is the number of the first entry that is not as it was written."""

    entries: int
    broken_at: int | None


class Audit:
    """What was done to the control plane. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def page(self, query: AuditQuery) -> list[tuple[Entry, str]]:
        """Return entries, newest first, each with its hash; one more than the limit says that there are more."""
        limit = min(query.limit, MOST_ENTRIES)
        return await self._store.page(*_conditions(query), before=query.before, limit=limit + 1)

    async def every(self) -> AsyncGenerator[list[tuple[Entry, str]]]:
        """Return all entries in their order, page by page."""
        async for page in self._store.every():
            yield page

    async def proof(self) -> Proof:
        """Follow the chain from its start to its end."""
        expected, previous = 1, START
        last, end = await self._store.head()
        async for page in self._store.every():
            broken = first_broken(page, after=previous, expected=expected)
            if broken is not None:
                return Proof(expected - 1 + len(page), broken)
            expected, previous = expected + len(page), page[-1][1]
        # entries that came while this one read are behind the end that was seen before; fewer than that are a cut
        is_cut = expected - 1 < last or (expected - 1 == last and previous != end)
        return Proof(expected - 1, expected if is_cut else None)


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.resource:
        found.append(AuditEntry.resource == query.resource)
    if query.resource_id:
        found.append(AuditEntry.resource_id == query.resource_id)
    if query.actor:
        found.append((AuditEntry.actor_id == query.actor) | (AuditEntry.actor_name == query.actor))
    if query.request_id:
        found.append(AuditEntry.request_id == query.request_id)
    if query.start is not None:
        found.append(AuditEntry.at >= query.start)
    if query.end is not None:
        found.append(AuditEntry.at < query.end)
    return found
