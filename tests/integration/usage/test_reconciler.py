"""Attempts that were started and that nobody recorded become rows; the others do not get a second one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from llm_manager.contracts.events.v1.inference_events_pb2 import InferenceStarted
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.consumer import Delivered
from llm_manager.kit.bus.names import EVENT_STARTED, STREAM_USAGE
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.testing.nats import NatsServer
from llm_manager.usage.ledger.consumer import LedgerConsumer
from llm_manager.usage.ledger.reconciler import Reconciler
from llm_manager.usage.ledger.store import LedgerStore
from llm_manager.usage.prices.store import PriceBooks, load_book

MakeEvent = Callable[..., event_pb2.UsageRecorded]
Deliver = Callable[..., Delivered]


async def start(bus: Bus, recorded: event_pb2.UsageRecorded | None, *, ends_at: datetime, name: str) -> None:
    """Say that an attempt was handed over, as the gateway does."""
    event = InferenceStarted(request_id=name)
    event.ends_at.FromDatetime(ends_at)
    if recorded is not None:
        event.attempt.CopyFrom(recorded)
        for field in ("state", "usage", "usage_source", "cost", "raw_usage", "recorder"):
            event.attempt.ClearField(field)
    await publish_durable(bus, EVENT_STARTED, event.SerializeToString(), message_id=name, deadline_seconds=5)


@pytest.mark.requirement("L-4", "L-17")
async def test_an_attempt_that_nobody_accounted_for_becomes_a_row_once(
    mortal_nats_server: NatsServer, clickhouse: ClickHouse, make_event: MakeEvent, deliver: Deliver
) -> None:
    store = LedgerStore(clickhouse)
    ledger = LedgerConsumer(store, PriceBooks(clickhouse, load_book()))
    await clickhouse.command("TRUNCATE TABLE usage.checkpoints")
    recorded, lost, running = (make_event(request_id=name) for name in ("recorded", "lost", "running"))
    await ledger.handle([deliver(recorded)])
    now = datetime.now(UTC)
    over, later = now - timedelta(minutes=2), now + timedelta(minutes=5)
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        await start(bus, recorded, ends_at=over, name="recorded")
        await start(bus, None, ends_at=over, name="models")
        await start(bus, lost, ends_at=over, name="lost")
        await start(bus, running, ends_at=later, name="running")

        looked = [await Reconciler(bus, store, grace_seconds=60).look() for _ in range(3)]
        message = await bus.jetstream.get_msg(STREAM_USAGE, seq=1)
        assert message.data is not None
        await ledger.handle([deliver(event_pb2.UsageRecorded.FromString(message.data))])

        assert looked == [1, 0, 0]
        assert (await bus.jetstream.stream_info(STREAM_USAGE)).state.messages == 1
    rows = await clickhouse.query(
        "SELECT request_id, toString(state), error_code, toString(usage_source), cost_usd, recorder, defects, app_id"
        " FROM usage.events FINAL ORDER BY request_id"
    )
    assert rows == [
        ("lost", "error", "worker_lost", "unknown", None, "reconciler", [], "app_1"),
        ("recorded", "ok", "", "provider", rows[1][4], "worker", [], "app_1"),
    ]
    # the worker was alive after all: its word stays, whichever came first
    await ledger.handle([deliver(lost)])
    (row,) = await clickhouse.query("SELECT recorder FROM usage.events FINAL WHERE request_id = 'lost'")
    assert row == ("worker",)


async def found(reconciler: Reconciler) -> int:
    """Return what a look finds; one that a busy machine kept from its answer finds nothing and is repeated."""
    async with asyncio.timeout(30):
        while not (number := await reconciler.look()):
            pass
    return number


async def test_a_stream_that_was_made_anew_is_looked_through_from_its_start(
    mortal_nats_server: NatsServer, clickhouse: ClickHouse, make_event: MakeEvent
) -> None:
    store = LedgerStore(clickhouse)
    await clickhouse.command("TRUNCATE TABLE usage.checkpoints")
    await store.set_checkpoint("reconciler", 1_000_000)
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        await start(bus, make_event(request_id="lost"), ends_at=datetime.now(UTC) - timedelta(minutes=2), name="lost")

        assert await found(Reconciler(bus, store, grace_seconds=60)) == 1


async def test_an_attempt_without_a_usable_id_holds_up_no_other(
    mortal_nats_server: NatsServer, clickhouse: ClickHouse, make_event: MakeEvent
) -> None:
    store, over = LedgerStore(clickhouse), datetime.now(UTC) - timedelta(minutes=2)
    await clickhouse.command("TRUNCATE TABLE usage.checkpoints")
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        await start(bus, make_event(event_id="no id", request_id="bad"), ends_at=over, name="bad")
        await start(bus, make_event(request_id="lost"), ends_at=over, name="lost")

        assert await found(Reconciler(bus, store, grace_seconds=60)) == 1
