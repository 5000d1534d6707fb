"""Streams over real HTTP: heartbeats, clients that go away, clients that do not read, workers that die."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from llm_manager.contracts.events.v1.inference_events_pb2 import InferenceCompleted, InferenceStarted
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.testing.answering_worker import (
    AnsweringWorker,
    answering,
    chunk,
    done,
    failing,
    finish,
    hanging,
    native,
    text,
)
from llm_manager.usage.ledger.events_wire import from_proto
from llm_manager.usage.ledger.rules import examine

CHAT = "/v1/chat/completions"


def _ask(model: str = "echo", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


STREAM = _ask(stream=True)


async def _raw(served: Any, body: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection without a client library, so that nothing hides what is on the wire."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.gateway.port)
    content = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.api_key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    return reader, writer


@pytest.mark.requirement("B-7")
async def test_a_silent_stream_is_kept_alive_before_and_after_the_first_frame(
    http: httpx2.AsyncClient, worker: AnsweringWorker
) -> None:
    async def slow(_: object, sink: Any) -> bytes:
        await asyncio.sleep(0.45)
        await sink.send(chunk(text("Hi")))
        await asyncio.sleep(0.45)
        await sink.send(chunk(finish()))
        return done()

    worker.script = slow
    answer = await http.post(CHAT, json=STREAM)
    before, _, after = answer.text.partition('"content":"Hi"')
    assert answer.status_code == 200
    assert before.startswith(": ping\n\n: ping\n\n")
    assert ": ping\n\n" in after
    assert answer.text.endswith("data: [DONE]\n\n")
    assert {line.partition(":")[0] for line in answer.text.splitlines() if line} == {"", "data"}


@pytest.mark.requirement("P-3")
async def test_a_failure_after_a_heartbeat_is_in_the_stream(http: httpx2.AsyncClient, worker: AnsweringWorker) -> None:
    async def late(_: object, sink: Any) -> bytes:
        await asyncio.sleep(0.3)
        return await failing(RuntimeError("boom"))(_, sink)  # pyright: ignore[reportArgumentType] # not looked at

    worker.script = late
    answer = await http.post(CHAT, json=STREAM)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert (answer.status_code, len(events), events[0]["error"]["code"]) == (200, 1, "internal_error")
    assert "[DONE]" not in answer.text


async def test_a_stream_says_who_answers_before_it_begins(http: httpx2.AsyncClient, worker: AnsweringWorker) -> None:
    answer = await http.post(CHAT, json=STREAM)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-llm-manager-provider"] == "echo"
    assert answer.headers["x-llm-manager-model"] == "echo"
    assert "x-llm-manager-cost" not in answer.headers
    assert worker.requests[0].is_stream


@pytest.mark.requirement("L-24")
@pytest.mark.parametrize("stage", ["plain", "before the first frame", "mid-stream", "native mid-stream"])
async def test_a_client_that_goes_away_cancels_the_worker(
    stage: str, served: Any, worker: AnsweringWorker, log_lines: Any
) -> None:
    match stage:
        case "mid-stream":
            body, worker.script = STREAM, hanging(chunk(text("Hi")))
        case "native mid-stream":
            body, worker.script = _ask("gpt-4.1-mini", stream=True), hanging(native({"choices": []}))
        case _:
            body, worker.script = _ask(stream=stage != "plain"), hanging()
    reader, writer = await _raw(served, body)
    await worker.is_asked.wait()
    if "mid-stream" in stage:
        await reader.readuntil(b"data: ")
    # the worker's first frame tells the gateway whom to cancel; it is a message ahead of this round trip
    await asyncio.sleep(0.02)
    went = asyncio.get_running_loop().time()
    writer.close()
    async with asyncio.timeout(1):
        reason = await worker.cancellations.get()
    assert asyncio.get_running_loop().time() - went < 0.25
    assert reason == "client_disconnected"
    request_id = worker.requests[0].attribution.request_id
    async with asyncio.timeout(1):
        while not (lines := [line for line in log_lines.getvalue().splitlines() if request_id in line]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (json.loads(lines[-1])["status"], json.loads(lines[-1])["error_code"]) == (499, "cancelled")


async def test_a_client_that_does_not_read_cannot_fill_the_memory(served: Any, worker: AnsweringWorker) -> None:
    sent = 0

    async def endless(_: object, sink: Any) -> bytes:
        nonlocal sent
        while True:
            await sink.send(chunk(text("x" * 50_000)))
            sent += 50_000
            await asyncio.sleep(0)

    worker.script = endless
    _, writer = await _raw(served, STREAM)
    async with asyncio.timeout(20):
        reason = await worker.cancellations.get()
    writer.close()
    assert reason == "slow_reader"
    assert sent < 100_000_000


@asynccontextmanager
async def _heard(bus: Bus, subject: str) -> AsyncGenerator[asyncio.Queue[bytes]]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Any) -> None:
        queue.put_nowait(message.data)

    subscription = await bus.subscribe(subject, hear)
    await bus.client.flush()
    yield queue
    await subscription.unsubscribe()


@pytest.mark.requirement("S38")
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("outcome", ["ok", "error", "cancelled"])
async def test_every_call_is_announced_at_its_start_and_its_end(
    outcome: str, is_stream: bool, served: Any, http: httpx2.AsyncClient, worker: AnsweringWorker, own_nats_server: Any
) -> None:
    scripts = {
        "ok": answering(chunk(text("Hi"), finish())),
        "error": failing(RuntimeError("x")),
        "cancelled": hanging(),
    }
    worker.script = scripts[outcome]
    async with connect(own_nats_server.url, name="ear") as bus, _heard(bus, "llm.v1.event.inference.*") as heard:
        if outcome == "cancelled":
            _, writer = await _raw(served, _ask(stream=is_stream))
            await worker.is_asked.wait()
            writer.close()
        else:
            await http.post(CHAT, json=_ask(stream=is_stream))
        async with asyncio.timeout(2):
            started = InferenceStarted.FromString(await heard.get())
            completed = InferenceCompleted.FromString(await heard.get())
    assert (started.requested_model, started.operation, started.is_stream) == ("echo", "chat", is_stream)
    assert completed.request_id == started.request_id == worker.requests[0].attribution.request_id
    assert completed.app_id == started.app_id == worker.requests[0].attribution.app_id
    code = {"ok": "", "error": "internal_error", "cancelled": "cancelled"}[outcome]
    assert (completed.outcome, completed.error_code, completed.attempts) == (outcome, code, 1)


@pytest.mark.parametrize(
    ("seen", "source"),
    [((), event_pb2.USAGE_SOURCE_UNKNOWN), ((chunk(text("12345")),), event_pb2.USAGE_SOURCE_ESTIMATED)],
)
async def test_the_gateway_accounts_for_a_worker_that_dies(
    seen: tuple[bytes, ...], source: int, start: Any, bus: Bus
) -> None:
    from llm_manager.contracts.bus.v1.frame_pb2 import Accepted, Frame

    asked: list[Any] = []

    async def die(message: Any) -> None:
        asked.append(message)
        frames = [Frame(sequence=0, accepted=Accepted(worker_id="mortal"))]
        frames += [Frame(sequence=i + 1, message=body) for i, body in enumerate(seen)]
        for frame in frames:
            await bus.publish(message.reply, frame.SerializeToString())

    subscription = await bus.subscribe("llm.v1.infer.echo", die)
    async with start(silence_seconds=0.3) as gateway, _heard(bus, "llm.v1.usage.recorded.>") as heard:
        async with httpx2.AsyncClient(base_url=gateway.url, headers=gateway.bearer, timeout=10) as client:
            answer = await client.post(CHAT, json=STREAM)
        async with asyncio.timeout(3):
            event = event_pb2.UsageRecorded.FromString(await heard.get())
    await subscription.unsubscribe()
    assert "worker_lost" in answer.text
    assert (answer.status_code == 200) == bool(seen)
    assert (event.state, event.error_code, event.usage_source) == (
        event_pb2.ATTEMPT_STATE_ERROR,
        "worker_lost",
        source,
    )
    assert event.cost.state == event_pb2.COST_STATE_UNPRICED
    assert not event.cost.HasField("total_picousd")
    assert (event.usage.input_uncached, event.usage.output_text) == ((1, 2) if seen else (0, 0))
    assert event.request_id == answer.headers["x-request-id"]
    assert event.provider_kind == "echo"


@pytest.mark.requirement("L-4")
async def test_what_no_worker_took_is_recorded_as_costing_nothing(start: Any, bus: Bus) -> None:
    async with start() as gateway, _heard(bus, "llm.v1.usage.recorded.>") as heard:
        async with httpx2.AsyncClient(base_url=gateway.url, headers=gateway.bearer, timeout=10) as client:
            answer = await client.post(CHAT, json=STREAM)
        async with asyncio.timeout(3):
            event = event_pb2.UsageRecorded.FromString(await heard.get())
    assert (answer.status_code, event.error_code) == (503, "no_worker")
    assert (event.usage_source, event.recorder) == (event_pb2.USAGE_SOURCE_NONE, event_pb2.RECORDER_GATEWAY)
    assert (event.cost.state, event.cost.total_picousd) == (event_pb2.COST_STATE_PRICED, 0)
    assert event.cost.HasField("total_picousd")
    assert examine(from_proto(event), now=datetime.now(UTC), books={}).defects == ()
