"""Reports of the ledger for people."""

from __future__ import annotations

from dataclasses import replace

from llm_manager.core.errors import InvalidRequest, StoreUnavailable
from llm_manager.gateway.usage.client import UsageClient
from llm_manager.gateway.usage.rules import EventPage, OrderBy, Range, TopBy, TopRow, Totals
from llm_manager.gateway.usage.store import NameStore


class UsageReports:
    """Asks the usage service, and the control-plane database for names; without the address every report says so.

    Every method raises StoreUnavailable when the service does not answer.
    """

    def __init__(self, client: UsageClient | None, names: NameStore) -> None:
        self._client = client
        self._names = names

    async def top(self, by: TopBy, *, order: OrderBy, limit: int, within: Range) -> list[TopRow]:
        """Return the largest groups."""
        rows = await self._asked(within).top(by, order=order, limit=limit, within=within)
        names = await self._names.of(by, {row.key for row in rows})
        return [replace(row, name=names.get(row.key, "")) for row in rows]

    async def total(self, within: Range) -> Totals:
        """Return one sum."""
        return await self._asked(within).total(within)

    async def events(self, *, limit: int, page_token: str, within: Range) -> EventPage:
        """Return one page of events, newest first."""
        page = await self._asked(within).events(limit=limit, page_token=page_token, within=within)
        names = await self._names.of(TopBy.APP, {event.app_id for event in page.events})
        events = [replace(event, app_name=names.get(event.app_id, "")) for event in page.events]
        return EventPage(events, page.next_page_token)

    def _asked(self, within: Range) -> UsageClient:
        for name, instant in (("from", within.start), ("to", within.end)):
            if instant is not None and instant.tzinfo is None:
                raise InvalidRequest(f"{name} has no time zone; add Z or an offset.", param=name)
        if self._client is None:
            raise StoreUnavailable("Reports are off; set LLM_MANAGER_GATEWAY_USAGE_ADDRESS.")
        return self._client
