"""The tables usage.events and usage.rejected: what writes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from llm_manager.core.prices import CostState, PriceLine
from llm_manager.core.usage import BUCKETS, AttemptState, Recorder, Usage, UsageSource, counts_of
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.ledger.rules import Attempt, Money, rank

MIGRATIONS = Path(__file__).with_name("migrations")

# Columns that have the name and the value of a field of Attempt.
_PLAIN = (
    *("event_id", "app_id", "api_key_id", "request_id", "attempt", "started_at", "duration_ms"),
    *("time_to_first_token_ms", "requested_model", "configuration", "provider", "provider_kind", "upstream_model"),
    *("response_model", "operation", "is_stream", "error_code", "upstream_status", "upstream_request_id"),
    *("finish_reason", "native_finish_reason", "end_user", "response_id", "system_fingerprint", "recorder"),
)
COLUMNS = (
    *_PLAIN,
    *BUCKETS,
    *("state", "usage_source", "raw_usage", "cost_state", "cost_usd", "price_version"),
    *("price_lines.bucket", "price_lines.quantity", "price_lines.rate_picousd_per_million", "price_lines.amount_usd"),
    *("tags", "defects", "rank"),
)
_READ = (*_PLAIN, "tags")
_plain_of: Callable[[Attempt], tuple[object, ...]] = attrgetter(*_PLAIN)
_REJECTED_COLUMNS = ("payload_sha256", "subject", "reasons", "payload_base64")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that became no row, or one with defects, and why."""

    payload: bytes
    subject: str
    reasons: tuple[str, ...]


class LedgerStore:
    """Writes attempts. Writing one again, also in another batch, changes no sum."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def write(self, attempts: Sequence[Attempt]) -> None:
        """Store examined attempts; they are on disk when this returns.

        Raises:
            StoreUnavailable: ClickHouse does not answer or refuses; none, some or all of them may be stored.
        """
        if attempts:
            await self._clickhouse.insert("usage.events", [_row(attempt) for attempt in attempts], COLUMNS)

    async def known(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of some events that have a row.

        Raises:
            StoreUnavailable: ClickHouse does not answer.
        """
        ids = [UUID(event_id) for event_id in event_ids]
        if not ids:
            return frozenset()
        births = [event_id.int >> 80 for event_id in ids]
        found = await self._clickhouse.query(
            "SELECT DISTINCT toString(event_id) FROM usage.events WHERE event_id IN {ids:Array(UUID)}"
            " AND attempted_at >= fromUnixTimestamp64Milli({first:Int64})"
            " AND attempted_at <= fromUnixTimestamp64Milli({last:Int64})",
            {"ids": [str(event_id) for event_id in ids], "first": min(births), "last": max(births)},
        )
        return frozenset(row[0] for row in found)

    async def checkpoint(self, name: str) -> int:
        """Return the last place that was set; 0 when none was. Raises as `known`."""
        rows = await self._clickhouse.query(
            "SELECT argMax(sequence, reached_at) FROM usage.checkpoints WHERE name = {name:String}", {"name": name}
        )
        return int(rows[0][0])

    async def set_checkpoint(self, name: str, sequence: int) -> None:
        """Remember how far somebody came. Raises as `known`."""
        await self._clickhouse.insert("usage.checkpoints", [(name, sequence)], ("name", "sequence"))

    async def reject(self, messages: Sequence[Rejected]) -> None:
        """Keep messages for a person to look at.

        Raises:
            StoreUnavailable: as for `write`.
        """
        if messages:
            rows = [
                (
                    hashlib.sha256(message.payload).hexdigest(),
                    message.subject,
                    list(message.reasons),
                    base64.b64encode(message.payload).decode(),
                )
                for message in messages
            ]
            await self._clickhouse.insert("usage.rejected", rows, _REJECTED_COLUMNS)


def usd(picousd: int) -> Decimal:
    """Return pico-dollars as the ledger's Decimal(38, 12), exactly."""
    return Decimal(picousd).scaleb(-12)


def picousd(amount_usd: Decimal) -> int:
    """Return an amount of the ledger in pico-dollars, exactly."""
    return int(amount_usd.scaleb(12))


def from_row(row: Sequence[Any]) -> Attempt:
    """Rebuild an attempt from the columns of statistics/queries/events.sql, in their order."""
    plain, row = row[: len(_READ)], row[len(_READ) :]
    counts, row = row[: len(BUCKETS)], row[len(BUCKETS) :]
    state, source, raw_usage, cost_state, cost_usd, price_version, buckets, quantities, rates, amounts = row
    lines = tuple(
        PriceLine(bucket, quantity, rate, picousd(amount))
        for bucket, quantity, rate, amount in zip(buckets, quantities, rates, amounts, strict=True)
    )
    total = None if cost_usd is None else picousd(cost_usd)
    fields: dict[str, Any] = dict(zip(_READ, plain, strict=True))
    fields["recorder"] = Recorder(fields["recorder"])
    return Attempt(
        **fields,
        usage=Usage(*counts),
        state=AttemptState(state),
        usage_source=UsageSource(source),
        raw_usage=raw_usage.encode(),
        money=Money(CostState(cost_state), total, lines, price_version),
    )


def _row(attempt: Attempt) -> tuple[object, ...]:
    money, lines = attempt.money, attempt.money.lines
    return (
        *_plain_of(attempt),
        *counts_of(attempt.usage),
        attempt.state,
        attempt.usage_source,
        attempt.raw_usage.decode(),
        money.state,
        None if money.total_picousd is None else usd(money.total_picousd),
        money.price_version,
        [line.bucket for line in lines],
        [line.quantity for line in lines],
        [line.rate_picousd_per_million for line in lines],
        [usd(line.amount_picousd) for line in lines],
        dict(attempt.tags),
        list(attempt.defects),
        rank(attempt),
    )
