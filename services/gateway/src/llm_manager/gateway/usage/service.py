"""Reports of the ledger for people."""

from __future__ import annotations

from llm_manager.core.errors import InvalidRequest, StoreUnavailable
from llm_manager.gateway.usage.client import UsageClient
from llm_manager.gateway.usage.rules import EventPage, OrderBy, Range, TopBy, TopRow, Totals


class UsageReports:
    """Asks the usage service; without its address every report says so.

    Every method raises StoreUnavailable when the service does not answer.
    """

    def __init__(self, client: UsageClient | None) -> None:
        self._client = client

    async def top(self, by: TopBy, *, order: OrderBy, limit: int, within: Range) -> list[TopRow]:
        """Return the largest groups."""
        return await self._asked(within).top(by, order=order, limit=limit, within=within)

    async def total(self, within: Range) -> Totals:
        """Return one sum."""
        return await self._asked(within).total(within)

    async def events(self, *, limit: int, page_token: str, within: Range) -> EventPage:
        """Return one page of events, newest first."""
        return await self._asked(within).events(limit=limit, page_token=page_token, within=within)

    def _asked(self, within: Range) -> UsageClient:
        for name, instant in (("from", within.start), ("to", within.end)):
            if instant is not None and instant.tzinfo is None:
                raise InvalidRequest(f"{name} has no time zone; add Z or an offset.", param=name)
        if self._client is None:
            raise StoreUnavailable("Reports are off; set LLM_MANAGER_GATEWAY_USAGE_ADDRESS.")
        return self._client
