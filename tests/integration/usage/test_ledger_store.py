"""The tables of the ledger, on a real ClickHouse."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from usage_events import BOOKS

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import InternalError
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_migrations import migrate, split_statements
from llm_manager.usage.ledger.events_wire import from_proto
from llm_manager.usage.ledger.rules import Attempt, examine
from llm_manager.usage.ledger.store import COLUMNS, MIGRATIONS, LedgerStore, Rejected

MakeEvent = Callable[..., event_pb2.UsageRecorded]


def examined(event: event_pb2.UsageRecorded) -> Attempt:
    return examine(from_proto(event), now=datetime.now(UTC), books=BOOKS)


async def counted(clickhouse: ClickHouse) -> tuple[int, int, Decimal]:
    rows = await clickhouse.query("SELECT count(), sum(output_text), sum(cost_usd) FROM usage.events FINAL")
    return rows[0]


async def test_an_attempt_written_twice_counts_once(clickhouse: ClickHouse, make_event: MakeEvent) -> None:
    store, attempt = LedgerStore(clickhouse), examined(make_event())

    await store.write([attempt])
    await store.write([attempt, examined(make_event())])
    await store.write([attempt])

    assert await counted(clickhouse) == (2, 14, Decimal("0.000012450000"))


async def test_copies_count_once_after_a_merge_too(clickhouse: ClickHouse, make_event: MakeEvent) -> None:
    store, attempt = LedgerStore(clickhouse), examined(make_event())

    for _ in range(3):
        await store.write([attempt])
    await clickhouse.command("OPTIMIZE TABLE usage.events FINAL")

    assert (await clickhouse.query("SELECT count() FROM usage.events"))[0] == (1,)


async def test_a_copy_that_started_at_another_time_is_the_same_attempt(
    clickhouse: ClickHouse, make_event: MakeEvent
) -> None:
    """Gateway and worker read different clocks, and five minutes or a month may end between their readings."""
    store, at = LedgerStore(clickhouse), datetime(2026, 10, 31, 23, 59, 59, 900_000, tzinfo=UTC)
    event = make_event(at=at)
    later = event_pb2.UsageRecorded()
    later.CopyFrom(event)
    later.started_at.FromDatetime(at + timedelta(minutes=7))

    await store.write([examined(event)])
    await store.write([examined(later)])

    assert (await clickhouse.query("SELECT count() FROM usage.events FINAL"))[0] == (1,)


@pytest.mark.parametrize("worker_comes_first", [True, False])
async def test_the_workers_own_record_wins_over_the_gateways_substitute(
    clickhouse: ClickHouse, make_event: MakeEvent, worker_comes_first: bool
) -> None:
    own = make_event()
    substitute = make_event(event_id=own.event_id, state=event_pb2.ATTEMPT_STATE_ERROR, error_code="worker_lost")
    substitute.usage_source = event_pb2.USAGE_SOURCE_ESTIMATED
    substitute.usage.output_text = 400
    substitute.cost.CopyFrom(event_pb2.Cost(state=event_pb2.COST_STATE_UNPRICED))
    store = LedgerStore(clickhouse)

    for event in (own, substitute) if worker_comes_first else (substitute, own):
        await store.write([examined(event)])

    rows = await clickhouse.query("SELECT toString(state), output_text FROM usage.events FINAL")
    assert rows == [("ok", 7)]


@pytest.mark.requirement("L-3")
async def test_the_table_refuses_a_total_that_is_not_the_sum_of_its_lines(
    clickhouse: ClickHouse, make_event: MakeEvent
) -> None:
    """The rules never let one through; this is the last line, for whatever else may write to the table one day."""
    await LedgerStore(clickhouse).write([examined(make_event())])

    for wrong in ("cost_usd + toDecimal128('0.000000000001', 12)", "CAST(NULL, 'Nullable(Decimal(38, 12))')"):
        columns = ", ".join(wrong if name == "cost_usd" else f"`{name}`" for name in COLUMNS)
        names = ", ".join(f"`{name}`" for name in COLUMNS)
        with pytest.raises(InternalError):
            await clickhouse.command(f"INSERT INTO usage.events ({names}) SELECT {columns} FROM usage.events")

    assert (await clickhouse.query("SELECT count() FROM usage.events"))[0] == (1,)


async def test_a_rejected_message_is_kept_once_with_its_bytes(clickhouse: ClickHouse) -> None:
    store, message = LedgerStore(clickhouse), Rejected(b"\xff\x00\x01", "llm.v1.usage.recorded.a", ("why",))

    await store.reject([message])
    await store.reject([message])

    rows = await clickhouse.query("SELECT payload_base64, reasons FROM usage.rejected FINAL")
    assert [(base64.b64decode(payload), reasons) for payload, reasons in rows] == [(b"\xff\x00\x01", ["why"])]


async def test_migrations_go_up_twice_down_and_up_again(clickhouse: ClickHouse) -> None:
    assert await migrate(clickhouse, MIGRATIONS) == []
    steps = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    for step in reversed(steps):
        for statement in split_statements((MIGRATIONS / "down" / step).read_text()):
            await clickhouse.command(statement)
    gone = await clickhouse.query("SELECT count() FROM system.tables WHERE database = 'usage'")

    assert gone == [(0,)]
    assert await migrate(clickhouse, MIGRATIONS) == steps
    assert await counted(clickhouse) == (0, 0, None)


async def test_the_ledger_has_no_column_for_prompts_or_answers(clickhouse: ClickHouse) -> None:
    rows = await clickhouse.query("SELECT name FROM system.columns WHERE database = 'usage' AND table = 'events'")
    names = {name for (name,) in rows}

    assert not {name for name in names if any(word in name for word in ("prompt", "message", "content", "answer"))}
    assert set(COLUMNS) | {"attempted_at", "recorded_at"} == names
