"""Batches of the stream into the ledger: what arrives is stored, flagged or set aside, and never lost."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import InternalError, StoreUnavailable
from llm_manager.core.prices import PriceBook
from llm_manager.core.usage import Usage
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.consumer import Delivered
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.ledger.consumer import LedgerConsumer
from llm_manager.usage.ledger.rules import Attempt
from llm_manager.usage.ledger.store import LedgerStore, Rejected
from llm_manager.usage.prices.store import PriceBooks

MakeEvent = Callable[..., event_pb2.UsageRecorded]
Deliver = Callable[..., Delivered]


class FlakyStore(LedgerStore):
    """The real store, which can be told to fail or to refuse some attempts, as ClickHouse would."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__(clickhouse)
        self.outage: StoreUnavailable | None = None
        self.refused_request_ids: set[str] = set()

    async def write(self, attempts: Sequence[Attempt]) -> None:
        if self.outage is not None:
            raise self.outage
        if any(attempt.request_id in self.refused_request_ids for attempt in attempts):
            raise InternalError("ClickHouse refused a statement or its values (VIOLATED_CONSTRAINT, code 469).")
        await super().write(attempts)

    async def reject(self, messages: Sequence[Rejected]) -> None:
        if self.outage is not None:
            raise self.outage
        await super().reject(messages)


@pytest.fixture
def store(clickhouse: ClickHouse) -> FlakyStore:
    return FlakyStore(clickhouse)


@pytest.fixture
def consumer(store: FlakyStore, clickhouse: ClickHouse, book: PriceBook) -> LedgerConsumer:
    return LedgerConsumer(store, PriceBooks(clickhouse, book))


async def rejected(clickhouse: ClickHouse) -> dict[bytes, list[str]]:
    rows = await clickhouse.query("SELECT payload_base64, reasons FROM usage.rejected FINAL")
    return {base64.b64decode(payload): reasons for payload, reasons in rows}


async def stored(clickhouse: ClickHouse) -> int:
    return (await clickhouse.query("SELECT count() FROM usage.events FINAL"))[0][0]


async def test_a_batch_delivered_again_among_others_counts_once(
    clickhouse: ClickHouse, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    messages = [deliver(make_event()) for _ in range(6)]

    await consumer.handle(messages[:4])
    await consumer.handle(messages[2:])
    await consumer.handle([*messages[::-1], messages[0]])

    assert await stored(clickhouse) == 6
    assert await rejected(clickhouse) == {}


async def test_what_is_no_event_is_kept_with_its_bytes_and_holds_up_nothing(
    clickhouse: ClickHouse, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    nameless, old = make_event(app_id=""), make_event(at=datetime(2024, 1, 1, tzinfo=UTC))
    broken = {
        b"\xff\xffnot protobuf": ["not_a_usage_recorded"],
        b"": ["event_id_is_no_uuid"],
        nameless.SerializeToString(): ["app_id_is_empty"],
        old.SerializeToString(): ["event_id_is_beyond_retention"],
    }

    await consumer.handle([*(deliver(data) for data in broken), deliver(make_event())])

    assert await stored(clickhouse) == 1
    assert await rejected(clickhouse) == broken


@pytest.mark.requirement("L-4")
async def test_an_event_that_contradicts_itself_becomes_a_flagged_row_of_unknown_cost(
    clickhouse: ClickHouse, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    event = make_event()
    event.cost.total_picousd += 1

    await consumer.handle([deliver(event)])

    rows = await clickhouse.query("SELECT toString(cost_state), cost_usd, output_text, defects FROM usage.events FINAL")
    assert rows == [("unpriced", None, 7, ["total_is_not_sum_of_lines"])]
    assert await rejected(clickhouse) == {event.SerializeToString(): ["total_is_not_sum_of_lines"]}


async def test_readiness_fails_while_no_event_becomes_a_row(
    consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    broken = [deliver(b"\xff\xff") for _ in range(10)]

    await consumer.handle(broken)
    after_ten = consumer.why_not_ready()
    await consumer.handle(broken)
    after_twenty = consumer.why_not_ready()
    await consumer.handle([*broken, deliver(make_event())])

    assert after_ten is None
    assert after_twenty == ("the last 20 events became no row (not_a_usage_recorded); they are kept in usage.rejected")
    assert consumer.why_not_ready() is None


async def test_an_outage_fails_the_batch_and_readiness_until_writes_work_again(
    clickhouse: ClickHouse, store: FlakyStore, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    messages = [deliver(make_event()), deliver(b"\xff\xff")]
    store.outage = StoreUnavailable("ClickHouse does not answer (TIMEOUT_EXCEEDED); retry in a moment.")

    with pytest.raises(StoreUnavailable):
        await consumer.handle(messages)
    reason = consumer.why_not_ready()
    store.outage = None
    await consumer.handle(messages)

    assert reason == "events wait in the stream, because the ledger cannot be written: store_unavailable"
    assert consumer.why_not_ready() is None
    assert (await stored(clickhouse), len(await rejected(clickhouse))) == (1, 1)


async def test_a_row_that_clickhouse_refuses_is_set_aside_and_its_batch_is_stored(
    clickhouse: ClickHouse, store: FlakyStore, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    bad = make_event(request_id="req_bad")
    store.refused_request_ids = {"req_bad"}

    await consumer.handle([*(deliver(make_event()) for _ in range(5)), deliver(bad)])

    assert await stored(clickhouse) == 5
    assert await rejected(clickhouse) == {bad.SerializeToString(): ["refused_by_store"]}


async def test_nothing_is_set_aside_when_clickhouse_refuses_every_row(
    clickhouse: ClickHouse, store: FlakyStore, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    store.refused_request_ids = {"req_1"}

    with pytest.raises(StoreUnavailable):
        await consumer.handle([deliver(make_event()) for _ in range(3)])

    assert (await stored(clickhouse), await rejected(clickhouse)) == (0, {})


async def test_metrics_count_events_states_and_what_has_no_price(
    consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    def values() -> tuple[float, float]:
        cancelled = REGISTRY.get_sample_value("llm_manager_ledger_events_written_total", {"state": "cancelled"})
        return cancelled or 0, REGISTRY.get_sample_value("llm_manager_ledger_events_unpriced_total") or 0

    before = values()
    unpriced = make_event(upstream_model="of-tomorrow", state=event_pb2.ATTEMPT_STATE_CANCELLED, error_code="cancelled")
    await consumer.handle([deliver(unpriced), deliver(make_event())])

    assert values() == (before[0] + 1, before[1] + 1)


async def test_a_batch_without_prices_writes_one_line_for_each_model(
    consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    models = ["of-tomorrow", "gpt-4o-mini", "of-next-year", "of-tomorrow"]

    with capture_logs() as lines:
        await consumer.handle([deliver(make_event(upstream_model=model)) for model in models])

    unpriced = [(line["upstream_model"], line["events"]) for line in lines if line["event"] == "usage_unpriced"]
    assert unpriced == [("of-tomorrow", 2), ("of-next-year", 1)]


class _Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


async def test_the_write_is_a_span_of_every_trace_that_came_with_an_event(
    consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    kept = _Kept()
    telemetry.setup("usage", otlp_endpoint="", processor=kept)
    traced = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    try:
        messages = [deliver(make_event(), headers={"traceparent": parent}) for parent in traced]
        await consumer.handle([*messages, deliver(make_event())])
    finally:
        await telemetry.shutdown()

    parents = [(span.name, span.parent.trace_id, span.parent.span_id) for span in kept.spans if span.parent]
    assert parents == [(names.SPAN_LEDGER_WRITE, 1, 1), (names.SPAN_LEDGER_WRITE, 2, 2)]
    assert len(kept.spans) == 2


async def test_a_failed_write_fails_its_spans(
    store: FlakyStore, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    kept = _Kept()
    store.outage = StoreUnavailable("ClickHouse does not answer.")
    telemetry.setup("usage", otlp_endpoint="", processor=kept)
    try:
        with pytest.raises(StoreUnavailable):
            await consumer.handle([deliver(make_event(), headers={"traceparent": f"00-{1:032x}-{1:016x}-01"})])
    finally:
        await telemetry.shutdown()

    assert [(span.attributes or {}).get(names.ERROR_TYPE) for span in kept.spans] == ["store_unavailable"]


@pytest.mark.requirement("S94")
async def test_a_million_one_token_calls_sum_to_the_exact_product(
    clickhouse: ClickHouse, consumer: LedgerConsumer, make_event: MakeEvent, deliver: Deliver
) -> None:
    """One is stored through the product, the others are copies of its row under ids of their own."""
    await consumer.handle([deliver(make_event(usage=Usage(input_uncached=1, requests=1)))])
    await clickhouse.command(
        """
        INSERT INTO usage.events (event_id, app_id, started_at, state, input_uncached, usage_source, cost_state,
            cost_usd, price_lines.bucket, price_lines.quantity, price_lines.rate_picousd_per_million,
            price_lines.amount_usd, rank)
        SELECT toUUID(concat(substring(toString(event_id), 1, 24), lower(leftPad(hex(copies.number), 12, '0')))),
            app_id, started_at, state, input_uncached, usage_source, cost_state, cost_usd, price_lines.bucket,
            price_lines.quantity, price_lines.rate_picousd_per_million, price_lines.amount_usd, rank
        FROM usage.events CROSS JOIN numbers(1, 999999) AS copies
        """
    )
    await clickhouse.command("INSERT INTO usage.events SELECT events.* FROM usage.events LIMIT 5000")

    rows = await clickhouse.query("SELECT count(), sum(cost_usd) FROM usage.events FINAL")

    assert rows == [(1_000_000, Decimal("0.150000000000"))]


async def test_an_event_is_compared_with_the_book_that_it_names_also_an_older_one(
    clickhouse: ClickHouse, store: FlakyStore, book: PriceBook, make_event: MakeEvent, deliver: Deliver
) -> None:
    await PriceBooks(clickhouse, book).keep()
    await PriceBooks(clickhouse, book).keep()
    consumer = LedgerConsumer(store, PriceBooks(clickhouse, PriceBook("newer", ())))

    await consumer.handle([deliver(make_event())])

    assert await clickhouse.query("SELECT cost_state, defects FROM usage.events") == [("priced", [])]
    assert await clickhouse.query("SELECT count() FROM usage.price_books FINAL") == [(1,)]
