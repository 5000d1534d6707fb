"""Holds the ledger against what the callers saw and against the provider's own books."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from counting_provider import CACHED_TOKENS, COMPLETION_TOKENS, MODEL_EMBEDDING, PROMPT_TOKENS, Entry
from disturbances import Disturbance
from ledger import Json
from mixed_load import KINDS, UNREADABLE, Call

# A call that ended so long before a blow has been recorded: it takes milliseconds.
_RECORDED_SECONDS = 3.0


@dataclass(frozen=True)
class Settlement:
    """Everything that is known at the end; each method yields one sentence for each fault that it finds."""

    calls: Sequence[Call]
    books: Mapping[str, Sequence[Entry]]
    rows: Sequence[Json]
    total: Json
    disturbances: Sequence[Disturbance]

    def faults(self) -> list[str]:
        """Return what is wrong."""
        return [
            *self._hung(),
            *self._miscounted(),
            *self._rows(),
            *self._answers(),
            *self._undisturbed(),
            *self._sums(),
        ]

    def is_undisturbed(self, call: Call) -> bool:
        """Whether a call ran, and was recorded, between two blows."""
        return not any(
            call.began_at < blow.answered_at and blow.began_at < call.ended_at + _RECORDED_SECONDS
            for blow in self.disturbances
        )

    def _hung(self) -> Iterator[str]:
        for call in self.calls:
            if call.outcome in ("hang", "cut") or call.outcome.startswith(UNREADABLE):
                yield f"{call.request_id} ({call.kind}): {call.outcome}"

    def _miscounted(self) -> Iterator[str]:
        counts = Counter(row["request_id"] for row in self.rows)
        for name, entries in self.books.items():
            if len(entries) != 1:
                yield f"{name} came to the provider {len(entries)} times"
            if not counts[name]:
                yield f"{name} is lost: the provider knows it, the ledger does not"
        for name, count in counts.items():
            if count > 1:
                yield f"{name} has {count} rows"
        if len({row["event_id"] for row in self.rows}) != len(self.rows):
            yield "an attempt's id stands in two rows"

    def _rows(self) -> Iterator[str]:
        """Every row says what the provider's books allow it to say."""
        prices: dict[str, set[Decimal | None]] = defaultdict(set)
        for row in self.rows:
            entry = next(iter(self.books.get(row["request_id"], [])), None)
            cost = None if row["cost_usd"] is None else Decimal(row["cost_usd"])
            where = f"{row['request_id']} ({row['state']}, {row['error_code']}, {row['recorder']}, {row['cost_usd']})"
            if entry is None and cost:
                yield f"{where} costs something and the provider never saw it"
            if entry is not None and not entry.is_refused and cost == 0:
                yield f"{where} costs nothing and the provider worked on it"
            if row["error_code"] == "worker_lost" and row["recorder"] != "worker" and cost is not None:
                yield f"{where} has a price and nobody knows what was used"
            if row["state"] == "ok":
                prices[row["upstream_model"]].add(cost)
                if entry is None or entry.finished_at is None:
                    yield f"{where} ended well and the provider did not finish it"
                if _counted(row) != _right_counts(row):
                    yield f"{where} counts {_counted(row)}"
        for model, costs in prices.items():
            if len(costs) != 1 or None in costs:
                yield f"the same answers of {model} cost {costs}"

    def _answers(self) -> Iterator[str]:
        states = {row["request_id"]: row["state"] for row in self.rows}
        for call in self.calls:
            if call.outcome == "ok" and states.get(call.request_id) != "ok":
                yield f"{call.request_id} ({call.kind}) was answered; its row says {states.get(call.request_id)}"

    def _undisturbed(self) -> Iterator[str]:
        """Between two blows everything is as on a quiet day."""
        rows = {row["request_id"]: row for row in self.rows}
        for call in filter(self.is_undisturbed, self.calls):
            kind, row = KINDS[call.kind], rows.get(call.request_id)
            if call.outcome != kind.outcome:
                yield f"{call.request_id} ({call.kind}) was undisturbed, yet its caller saw {call.outcome}"
            if row is not None and row["state"] != kind.state:
                yield f"{call.request_id} ({call.kind}) was undisturbed, yet its row says {row['state']}"

    def _sums(self) -> Iterator[str]:
        sums = {
            "attempts": len(self.rows),
            "failed_attempts": sum(row["state"] not in ("ok", "cache_hit") for row in self.rows),
            "unpriced_attempts": sum(row["cost_state"] == "unpriced" for row in self.rows),
            "estimated_attempts": sum(row["usage_source"] in ("estimated", "unknown") for row in self.rows),
            "cost_usd": sum((Decimal(row["cost_usd"] or 0) for row in self.rows), Decimal(0)),
            "usage": {name: sum(row["usage"][name] for row in self.rows) for name in self.total["usage"]},
        }
        told = {**self.total, "cost_usd": Decimal(self.total["cost_usd"])}
        if told != sums:
            yield f"the totals say {told}, the rows {sums}"


def _counted(row: Json) -> tuple[int, int, int]:
    return row["usage"]["input_total"], row["usage"]["cache_read"], row["usage"]["output_total"]


def _right_counts(row: Json) -> tuple[int, int, int]:
    is_embedding = row["upstream_model"] == MODEL_EMBEDDING
    return (PROMPT_TOKENS, 0, 0) if is_embedding else (PROMPT_TOKENS, CACHED_TOKENS, COMPLETION_TOKENS)
