"""Questions to usage.events. The SQL stands in `queries/`; nothing but bound parameters goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from llm_manager.core.usage import BUCKETS, Usage
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.ledger.rules import Attempt
from llm_manager.usage.ledger.store import from_row
from llm_manager.usage.statistics.rules import LATEST, Dimension, Filter, OrderBy, Position, Totals

_QUERIES = Path(__file__).with_name("queries")
_TOTALS, _TOP, _PAGE, _EVENTS = (
    (_QUERIES / f"{name}.sql").read_text(encoding="utf-8") for name in ("totals", "top", "page", "events")
)
# Copies of an event have the same id, therefore the same birth and month: no copy is in another partition, and each
# can be folded by itself (measured in docs/adr/0004-ledger-schema.md).
_SETTINGS = {"do_not_merge_across_partitions_select_final": 1}


class StatisticsStore:
    """Sums are exact: integers, and Decimal(38, 12) for money."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def total(self, wanted: Filter) -> Totals:
        """Sum everything that the filter lets through.

        Raises:
            StoreUnavailable: ClickHouse does not answer; also for the other methods.
        """
        rows = await self._clickhouse.query(_TOTALS, _parameters(wanted), settings=_SETTINGS)
        return _totals(rows[0])

    async def top(
        self, wanted: Filter, *, dimension: Dimension, order_by: OrderBy, limit: int
    ) -> list[tuple[str, Totals]]:
        """Sum by one dimension, largest first."""
        parameters = {
            **_parameters(wanted),
            "dimension": str(dimension),
            "order_by": str(order_by),
            "limit": limit,
        }
        rows = await self._clickhouse.query(_TOP, parameters, settings=_SETTINGS)
        return [(row[0], _totals(row[1:])) for row in rows]

    async def page(self, wanted: Filter, *, after: Position | None, limit: int) -> list[Attempt]:
        """Return events after a position, newest first, ties by id."""
        parameters = {
            **_parameters(wanted),
            "is_first_page": after is None,
            "after_started_at": LATEST if after is None else after.started_at,
            "after_event_id": UUID(int=0) if after is None else after.event_id,
            "limit": limit,
        }
        keys = await self._clickhouse.query(_PAGE, parameters, settings=_SETTINGS)
        if not keys:
            return []
        times = [attempted_at for _, attempted_at, _ in keys]
        where = {
            "app_ids": sorted({app_id for app_id, _, _ in keys}),
            "first": min(times),
            "last": max(times),
            "event_ids": [event_id for _, _, event_id in keys],
        }
        rows = await self._clickhouse.query(_EVENTS, where, settings=_SETTINGS)
        return [from_row(row) for row in rows]


def _parameters(wanted: Filter) -> dict[str, Any]:
    return {
        "from": wanted.from_time,
        "to": wanted.to_time,
        "app_ids": list(wanted.app_ids),
        "request_id": wanted.request_id,
        "is_failed_only": wanted.is_failed_only,
    }


def _totals(row: Sequence[Any]) -> Totals:
    attempts, failed, unpriced, estimated, cost, *counts = row
    usage = Usage(**dict(zip(BUCKETS, counts, strict=True)))
    return Totals(attempts, failed, unpriced, estimated, cost, usage)
