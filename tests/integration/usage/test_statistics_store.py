"""Answers of the ledger against the same sums in Python, on a real ClickHouse."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from usage_events import BOOKS

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import CostState
from llm_manager.core.usage import AttemptState, Usage, UsageSource
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.ledger.events_wire import from_proto
from llm_manager.usage.ledger.rules import Attempt, examine
from llm_manager.usage.ledger.store import LedgerStore
from llm_manager.usage.statistics.rules import Dimension, Filter, OrderBy, Position, Totals
from llm_manager.usage.statistics.store import StatisticsStore

MakeEvent = Callable[..., event_pb2.UsageRecorded]
START = datetime(2026, 11, 1, tzinfo=UTC)
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5.4", "a-model-without-a-price")


def make_attempts(make_event: MakeEvent, count: int) -> list[Attempt]:
    """Attempts of several apps, models and states over three weeks, the same ones every time."""
    chance = random.Random(7)
    attempts: list[Attempt] = []
    for number in range(count):
        event = make_event(
            # several share a millisecond, so that pages must order them by id
            at=START + timedelta(seconds=chance.randrange(20 * 86_400) // 600 * 600),
            seed=number,
            usage=Usage(
                input_uncached=chance.randrange(3_000),
                cache_read=chance.choice((0, 0, 1_024)),
                output_text=chance.randrange(900),
                output_reasoning=chance.choice((0, 64)),
                requests=1,
            ),
            upstream_model=chance.choice(MODELS),
            app_id=f"app_{chance.randrange(4)}",
            api_key_id=f"key_{chance.randrange(7)}",
            request_id=f"req_{number // 2}",
            reported_cost_usd=chance.choice((None, None, None, "0.000000000001")),
        )
        match chance.randrange(10):
            case 0:
                event.state, event.error_code = event_pb2.ATTEMPT_STATE_ERROR, "upstream_unavailable"
            case 1:
                event.state, event.error_code = event_pb2.ATTEMPT_STATE_CANCELLED, "cancelled"
                event.usage_source = event_pb2.USAGE_SOURCE_ESTIMATED
            case _:
                pass
        attempts.append(examine(from_proto(event), now=datetime(2026, 11, 24, tzinfo=UTC), books=BOOKS))
    return attempts


def reference(attempts: Iterable[Attempt]) -> Totals:
    """The sum that ClickHouse must give."""
    known = list(attempts)
    usage = Usage()
    for attempt in known:
        usage += attempt.usage
    return Totals(
        attempts=len(known),
        failed_attempts=sum(a.state not in (AttemptState.OK, AttemptState.CACHE_HIT) for a in known),
        unpriced_attempts=sum(a.money.state is CostState.UNPRICED for a in known),
        estimated_attempts=sum(a.usage_source in (UsageSource.ESTIMATED, UsageSource.UNKNOWN) for a in known),
        cost_usd=Decimal(sum(a.money.total_picousd or 0 for a in known)).scaleb(-12),
        usage=usage,
    )


@pytest.fixture
async def ledger(clickhouse: ClickHouse, make_event: MakeEvent) -> tuple[StatisticsStore, list[Attempt]]:
    """A ledger of 1,500 attempts, a third of them written again in other batches."""
    attempts, store = make_attempts(make_event, 1_500), LedgerStore(clickhouse)
    await store.write(attempts[:900])
    await store.write(attempts[600:])
    await store.write(attempts[::7])
    return StatisticsStore(clickhouse), attempts


async def test_an_empty_ledger_sums_to_nothing(clickhouse: ClickHouse) -> None:
    store = StatisticsStore(clickhouse)

    assert await store.total(Filter()) == reference([])
    assert await store.top(Filter(), dimension=Dimension.APP, order_by=OrderBy.COST, limit=5) == []
    assert await store.page(Filter(), after=None, limit=5) == []


FILTERS = (
    Filter(),
    Filter(from_time=START + timedelta(days=3), to_time=START + timedelta(days=9)),
    Filter(app_ids=("app_1", "app_3")),
    Filter(request_id="req_17"),
    Filter(is_failed_only=True),
    Filter(app_ids=("app_1",), is_failed_only=True),
    Filter(app_ids=("app_1",), from_time=START + timedelta(days=5)),
    Filter(app_ids=("nobody' OR 1=1 --",)),
)


def chosen(wanted: Filter, attempts: Sequence[Attempt]) -> list[Attempt]:
    return [
        attempt
        for attempt in attempts
        if wanted.from_time <= attempt.started_at < wanted.to_time
        and (not wanted.app_ids or attempt.app_id in wanted.app_ids)
        and (not wanted.request_id or attempt.request_id == wanted.request_id)
        and not (wanted.is_failed_only and attempt.state in (AttemptState.OK, AttemptState.CACHE_HIT))
    ]


async def test_totals_are_exact_under_every_filter(ledger: tuple[StatisticsStore, list[Attempt]]) -> None:
    store, attempts = ledger

    assert [await store.total(wanted) for wanted in FILTERS] == [reference(chosen(f, attempts)) for f in FILTERS]


async def test_groups_are_exact_and_largest_first(ledger: tuple[StatisticsStore, list[Attempt]]) -> None:
    store, attempts = ledger
    orders: dict[OrderBy, Callable[[Totals], tuple[object, ...]]] = {
        OrderBy.COST: lambda t: (-t.cost_usd, t.unpriced_attempts > 0),
        OrderBy.TOKENS: lambda t: (-(t.usage.input_total + t.usage.output_total),),
        OrderBy.ATTEMPTS: lambda t: (-t.attempts,),
    }
    for dimension in Dimension:
        keys = {str(getattr(attempt, dimension)) for attempt in attempts}
        groups = {key: reference(a for a in attempts if str(getattr(a, dimension)) == key) for key in keys}
        for order_by, largest_first in orders.items():
            expected = sorted(groups.items(), key=lambda group: (*largest_first(group[1]), group[0]))

            assert await store.top(Filter(), dimension=dimension, order_by=order_by, limit=5) == expected[:5]


@pytest.mark.parametrize("is_failed_only", [False, True])
async def test_pages_hold_every_event_once_newest_first(
    is_failed_only: bool, ledger: tuple[StatisticsStore, list[Attempt]]
) -> None:
    store, attempts = ledger
    until = START + timedelta(days=8)
    wanted = Filter(app_ids=("app_0", "app_2"), to_time=until, is_failed_only=is_failed_only)

    found: list[Attempt] = []
    after: Position | None = None
    while page := await store.page(wanted, after=after, limit=37):
        found += page
        after = Position(page[-1].started_at, page[-1].event_id)

    assert [attempt.started_at for attempt in found] == sorted((a.started_at for a in found), reverse=True)
    by_id = {attempt.event_id: attempt for attempt in found}
    assert by_id == {attempt.event_id: attempt for attempt in chosen(wanted, attempts)}
    assert len(by_id) == len(found)


async def test_an_event_stored_between_two_pages_moves_no_other(
    ledger: tuple[StatisticsStore, list[Attempt]], clickhouse: ClickHouse, make_event: MakeEvent
) -> None:
    store, _ = ledger
    whole = await store.page(Filter(), after=None, limit=20)
    first = await store.page(Filter(), after=None, limit=10)

    newer = examine(from_proto(make_event()), now=datetime.now(UTC), books=BOOKS)
    await LedgerStore(clickhouse).write([newer])
    second = await store.page(Filter(), after=Position(first[-1].started_at, first[-1].event_id), limit=10)

    assert [*first, *second] == whole
