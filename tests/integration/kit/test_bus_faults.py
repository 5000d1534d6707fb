"""What the bus does when parts of it die. Each test takes a second or more."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from llm_manager.core.errors import BusUnavailable, NoWorker, WorkerLost
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus import connection, kv
from llm_manager.kit.bus.connection import Bus, BusState, connect
from llm_manager.kit.bus.consumer import Delivered, DurableConsumer
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.requests import Requester
from llm_manager.kit.bus.responder import FrameSink, Handler, IncomingRequest, Responder
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.bus_parties import outcome_of, until
from llm_manager.testing.nats import NatsServer
from llm_manager.testing.scripted_worker import scripted_worker

SUBJECT = "llm.v1.infer.fault"

WORKER = """
import asyncio, sys
from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.responder import Responder

async def handler(request, sink):
    while True:
        await sink.send(b"token")
        await asyncio.sleep(0.02)

async def main():
    async with connect(sys.argv[1], name="worker") as bus:
        async with Responder(bus, worker_id="doomed", queue="providers", subjects=[sys.argv[2]], handler=handler,
                             max_in_flight=10):
            await bus.client.flush()
            print("ready", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


COUNTING_WORKER = """
import asyncio, sys
from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.responder import Responder

async def handler(request, sink):
    print("begun", request.request_id, flush=True)
    return b"answer"

async def main():
    async with connect(sys.argv[1], name="worker") as bus:
        async with Responder(bus, worker_id="frozen", queue="providers", subjects=[sys.argv[2]], handler=handler,
                             max_in_flight=10):
            await bus.client.flush()
            print("ready", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def _pair(
    url: str, handler: Handler, *, silence_seconds: float = 7.0
) -> AsyncGenerator[tuple[Bus, Bus, Requester]]:
    """A worker and a requester on connections of their own, as in two processes."""
    async with connect(url, name="worker") as worker_bus, connect(url, name="requester") as bus:
        responder = Responder(
            worker_bus, worker_id=uuid7(), queue="providers", subjects=[SUBJECT], handler=handler, max_in_flight=100
        )
        async with responder, Requester(bus, silence_seconds=silence_seconds) as requester:
            yield worker_bus, bus, requester


def _open(requester: Requester, deadline_seconds: float = 20.0):
    return requester.stream(SUBJECT, b"", request_id=uuid7(), deadline_seconds=deadline_seconds)


async def _crash(server: NatsServer, *connections: Bus) -> None:
    server.kill()
    await until(lambda: all(bus.state is BusState.RECONNECTING for bus in connections))


async def test_a_server_that_crashes_in_mid_stream_costs_a_typed_error_or_nothing(
    mortal_nats_server: NatsServer,
) -> None:
    flowing = asyncio.Event()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        for index in range(80):
            await sink.send(str(index).encode())
            if index == 20:
                flowing.set()
            await asyncio.sleep(0.005)
        return b"end"

    async with _pair(mortal_nats_server.url, handler) as (worker_bus, bus, requester):
        async with asyncio.TaskGroup() as group, _open(requester) as stream:
            reading = group.create_task(outcome_of(stream))
            async with asyncio.timeout(5):
                await flowing.wait()
            await _crash(mortal_nats_server, worker_bus, bus)
            mortal_nats_server.restart()
            read, outcome = await reading
        async with _open(requester) as again:
            assert await outcome_of(again) == ([str(index).encode() for index in range(80)], b"end")

    assert read == [str(index).encode() for index in range(len(read))]
    assert (len(read), outcome) == (80, b"end") or isinstance(outcome, WorkerLost)


async def test_a_silent_answer_outlives_a_crash_of_the_server(mortal_nats_server: NatsServer) -> None:
    go = asyncio.Event()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        await sink.send(b"thinking")
        await go.wait()
        await sink.send(b"answer")
        return b"end"

    async with (
        _pair(mortal_nats_server.url, handler, silence_seconds=1.0) as (worker_bus, bus, requester),
        _open(requester) as stream,
        asyncio.TaskGroup() as group,
    ):
        assert await anext(aiter(stream)) == b"thinking"
        # The reader comes back well after the worker, which wants to go on at once, and just before its patience ends.
        bus.client.options["reconnect_time_wait"] = 0.8
        await _crash(mortal_nats_server, worker_bus, bus)
        reading = group.create_task(outcome_of(stream))
        mortal_nats_server.restart()
        go.set()
        assert await worker_bus.wait_connected(5)
        assert bus.state is BusState.RECONNECTING
        assert await reading == ([b"answer"], b"end")


async def test_a_server_that_stays_away_is_told_as_that(mortal_nats_server: NatsServer) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus, Requester(bus, silence_seconds=0.3) as requester:
        async with scripted_worker(bus, SUBJECT) as worker, _open(requester) as stream:
            await worker.requests.get()
            await _crash(mortal_nats_server, bus)
            with pytest.raises(BusUnavailable, match="reconnecting"):
                await anext(aiter(stream))
            with pytest.raises(BusUnavailable):
                await bus.publish("x", b"")
            with pytest.raises(BusUnavailable):
                async with _open(requester):
                    pass
        assert requester.in_flight == 0


async def test_a_worker_process_that_is_killed_is_lost_and_then_nobody_is_there(nats_server: NatsServer) -> None:
    subject = f"llm.v1.infer.doomed-{uuid7()}"
    worker = subprocess.Popen(  # noqa: ASYNC220  # returns at once
        [sys.executable, "-c", WORKER, nats_server.url, subject], stdout=subprocess.PIPE
    )
    try:
        assert worker.stdout is not None
        assert await asyncio.to_thread(worker.stdout.readline) == b"ready\n"
        async with connect(nats_server.url, name="test") as bus, Requester(bus, silence_seconds=0.5) as requester:
            async with requester.stream(subject, b"", request_id="r", deadline_seconds=20) as stream:
                assert await anext(aiter(stream)) == b"token"
                worker.kill()
                _, outcome = await outcome_of(stream)
            assert isinstance(outcome, WorkerLost)
            with pytest.raises(NoWorker, match="doomed"):
                async with requester.stream(subject, b"", request_id="r", deadline_seconds=20) as stream:
                    await anext(aiter(stream))
    finally:
        worker.kill()
        assert worker.stdout is not None
        worker.stdout.close()
        worker.wait()


async def test_a_worker_that_was_frozen_begins_nothing_that_was_given_up_meanwhile(nats_server: NatsServer) -> None:
    command = [sys.executable, "-c", COUNTING_WORKER, nats_server.url, SUBJECT]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        async with connect(nats_server.url, name="requester") as bus, Requester(bus, silence_seconds=1.0) as requester:
            process.send_signal(signal.SIGSTOP)
            async with requester.stream(SUBJECT, b"", request_id="given-up", deadline_seconds=5.0) as stream:
                _, outcome = await outcome_of(stream)
            assert isinstance(outcome, WorkerLost)
            await asyncio.sleep(3.0)  # so long it must have stood still to be in doubt
            process.send_signal(signal.SIGCONT)
            async with requester.stream(SUBJECT, b"", request_id="wanted", deadline_seconds=5.0) as stream:
                assert await outcome_of(stream) == ([], b"answer")
    finally:
        process.kill()
        said, _ = await process.communicate()
    assert said == b"begun wanted\n"


@pytest.mark.parametrize("is_busy", [True, False], ids=["busy", "silent"])
async def test_a_worker_whose_requester_is_gone_stops_within_three_seconds(
    nats_server: NatsServer, bus: Bus, is_busy: bool
) -> None:
    subject = f"llm.v1.infer.lonely-{uuid7()}"
    stopped: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        try:
            while True:
                await sink.send(b"token")
                await asyncio.sleep(0.05 if is_busy else 60)
        except asyncio.CancelledError:
            stopped.set_result(request.cancel_reason)
            raise

    received = asyncio.Event()

    async def on_frame(_: object) -> None:
        received.set()

    responder = Responder(
        bus, worker_id=uuid7(), queue="providers", subjects=[subject], handler=handler, max_in_flight=10
    )
    async with responder:
        async with connect(nats_server.url, name="doomed") as requester_bus:
            inbox = requester_bus.client.new_inbox()
            await requester_bus.subscribe(inbox, on_frame)
            await requester_bus.publish(subject, b"", headers={"Request-Id": "r"}, reply=inbox)
            await received.wait()
        async with asyncio.timeout(3):
            assert await stopped == "requester_gone"


async def test_durable_events_published_during_a_crash_are_stored_once(mortal_nats_server: NatsServer) -> None:
    subject = "llm.v1.usage.recorded.app"
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        async with asyncio.TaskGroup() as group:

            async def publish(index: int) -> None:
                await asyncio.sleep(index * 0.005)
                await publish_durable(bus, subject, b"event", message_id=str(index), deadline_seconds=15)

            for index in range(100):
                group.create_task(publish(index))
            await asyncio.sleep(0.15)
            await _crash(mortal_nats_server, bus)
            mortal_nats_server.restart()
        info = await bus.jetstream.stream_info("USAGE")
    assert info.state.messages == 100


async def test_a_durable_event_fails_at_its_deadline_when_the_server_stays_away(
    mortal_nats_server: NatsServer,
) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        await _crash(mortal_nats_server, bus)
        with pytest.raises(BusUnavailable, match="reconnecting"):
            await publish_durable(bus, "llm.v1.event.x", b"", message_id="1", deadline_seconds=0.3)


async def test_a_consumer_loses_nothing_in_a_crash_of_the_server(mortal_nats_server: NatsServer) -> None:
    seen: set[bytes] = set()

    async def handler(batch: Sequence[Delivered]) -> None:
        await asyncio.sleep(0.01)
        seen.update(message.data for message in batch)

    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        expected = {str(index).encode() for index in range(300)}
        for body in sorted(expected)[:200]:
            await publish_durable(bus, "llm.v1.event.x", body, message_id=body.decode(), deadline_seconds=5)
        consumer = DurableConsumer(
            bus, stream="EVENTS", durable="d", handler=handler, max_batch=7, max_wait_seconds=0.05, ack_wait_seconds=1
        )
        async with consumer:
            await until(lambda: len(seen) > 30)
            await _crash(mortal_nats_server, bus)
            mortal_nats_server.restart()
            for body in sorted(expected)[200:]:
                await publish_durable(bus, "llm.v1.event.x", body, message_id=body.decode(), deadline_seconds=5)
            await until(lambda: seen == expected)
    assert seen == expected


async def test_an_idle_consumer_goes_on_soon_after_a_crash_of_the_server(mortal_nats_server: NatsServer) -> None:
    seen = asyncio.Event()

    async def handler(batch: Sequence[Delivered]) -> None:
        seen.set()

    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        async with DurableConsumer(
            bus, stream="EVENTS", durable="d", handler=handler, max_batch=10, max_wait_seconds=0.05
        ):
            await asyncio.sleep(0.1)
            await _crash(mortal_nats_server, bus)
            mortal_nats_server.restart()
            await publish_durable(bus, "llm.v1.event.x", b"", message_id="1", deadline_seconds=5)
            async with asyncio.timeout(2):
                await seen.wait()
    assert seen.is_set()


async def test_a_watch_catches_up_after_a_crash_of_the_server(
    mortal_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, bytes | None] = {}
    async with connect(mortal_nats_server.url, name="writer") as writer:
        await ensure_streams(writer)
        for key in ("stays", "changes", "deleted", "purged"):
            await kv.put(writer, "config", key, b"old")
        # The watcher comes back late, so that all changes happen while it is away.
        monkeypatch.setattr(connection, "_RECONNECT_WAIT_SECONDS", 0.8)
        async with (
            connect(mortal_nats_server.url, name="watcher") as bus,
            kv.watch(bus, "config", lambda key, value: values.update({key: value})),
        ):
            assert set(values.values()) == {b"old"}
            await _crash(mortal_nats_server, bus, writer)
            mortal_nats_server.restart()
            assert await writer.wait_connected(5)
            await kv.put(writer, "config", "changes", b"new")
            await kv.delete(writer, "config", "deleted")
            await writer.jetstream.purge_stream("KV_config", subject="$KV.config.purged")
            assert values["changes"] == b"old"
            expected = {"stays": b"old", "changes": b"new", "deleted": None, "purged": None}
            await until(lambda: values == expected)
            await kv.put(writer, "config", "stays", b"live again")
            await until(lambda: values["stays"] == b"live again", 1.0)
    assert values["stays"] == b"live again"
