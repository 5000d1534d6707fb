from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from llm_manager.contracts.bus.v1.frame_pb2 import Cancel
from llm_manager.core.errors import (
    Draining,
    InvalidRequest,
    LlmManagerError,
    Overloaded,
    WorkerLost,
)
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.requests import FrameStream
from llm_manager.kit.bus.responder import FrameSink, Handler, IncomingRequest, Responder
from llm_manager.testing.bus_parties import BlockedHandler, RawCaller, outcome_of, until

Serve = Callable[..., Responder]
Open = Callable[..., AbstractAsyncContextManager[FrameStream]]


async def outcome(stream: FrameStream) -> bytes | LlmManagerError:
    return (await outcome_of(stream))[1]


async def call(open_: Open, payload: bytes = b"", *, deadline_seconds: float = 5.0) -> bytes | LlmManagerError:
    async with open_(payload, deadline_seconds=deadline_seconds) as stream:
        return await outcome(stream)


async def test_a_full_worker_refuses_without_accepting(serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    async with serve(handler, max_in_flight=1), open_() as first:
        await handler.started.wait()
        async with open_() as second:
            refusal = await outcome(second)
        handler.go.set()
        assert await outcome(first) == b"went"

    assert isinstance(refusal, Overloaded)
    assert (refusal.retryable, second.worker_id) == (True, "")


async def test_draining_finishes_what_is_in_flight(serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    responder = serve(handler)
    await responder.__aenter__()
    async with open_() as stream:
        await handler.started.wait()
        leaving = asyncio.create_task(responder.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        assert not leaving.done()
        handler.go.set()
        assert await outcome(stream) == b"went"
        await leaving
    assert responder.in_flight == 0


async def test_a_request_that_arrives_while_draining_is_refused(bus: Bus, subject: str, serve: Serve) -> None:
    handler = BlockedHandler()
    responder = serve(handler)
    await responder.__aenter__()
    async with RawCaller(bus) as caller:
        # The request and the order to unsubscribe leave in one packet, so the server delivers it before it obeys.
        await caller.send(subject)
        await responder.__aexit__(None, None, None)
        frames = await caller.frames()

    assert [frame.WhichOneof("body") for frame in frames] == ["failed"]
    assert frames[0].failed.error.code == Draining.code
    assert not handler.started.is_set()


async def test_a_shutdown_cancels_what_does_not_finish(serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    responder = serve(handler, drain_seconds=0.05)
    await responder.__aenter__()
    async with open_() as stream:
        await handler.started.wait()
        await responder.__aexit__(None, None, None)
        ended = await outcome(stream)

    assert isinstance(ended, WorkerLost)
    assert (handler.reason, ended.detail) == ("shutdown", b"usage so far")


async def test_two_workers_of_a_group_share_the_requests(serve: Serve, open_: Open) -> None:
    def named(name: bytes) -> Handler:
        async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
            return name

        return handler

    async with serve(named(b"one")), serve(named(b"two")):
        outcomes = await asyncio.gather(*(call(open_) for _ in range(40)))

    assert set(outcomes) == {b"one", b"two"}


async def test_the_micro_protocol_lists_the_worker_and_counts_its_work(
    bus: Bus, subject: str, serve: Serve, open_: Open
) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        if request.payload:
            raise InvalidRequest("no")
        return b""

    async with serve(handler, worker_id="w-9") as responder:
        await call(open_)
        await call(open_, b"bad")
        await until(lambda: responder.in_flight == 0)
        ping = json.loads((await bus.client.request("$SRV.PING.providers", timeout=2)).data)
        info = json.loads((await bus.client.request(f"$SRV.INFO.providers.{ping['id']}", timeout=2)).data)
        stats = json.loads((await bus.client.request(f"$SRV.STATS.providers.{ping['id']}", timeout=2)).data)

    assert ping["metadata"] == {"worker_id": "w-9"}
    assert [(endpoint["subject"], endpoint["queue_group"]) for endpoint in info["endpoints"]] == [
        (subject, "providers")
    ]
    (counted,) = stats["endpoints"]
    assert (counted["num_requests"], counted["num_errors"], counted["last_error"]) == (2, 1, "invalid_request")


async def _cancel(bus: Bus, worker_id: str, request_id: str, inbox: str | None) -> None:
    cancel = Cancel(request_id=request_id, reason="test").SerializeToString()
    await bus.publish(f"llm.v1.cancel.{worker_id}", cancel, headers={"Inbox": inbox} if inbox else None)


async def test_a_cancel_that_names_an_inbox_hits_only_that_attempt(bus: Bus, subject: str, serve: Serve) -> None:
    handler = BlockedHandler()
    async with serve(handler, worker_id="w-c") as responder, RawCaller(bus) as first, RawCaller(bus) as second:
        await first.send(subject, request_id="same")
        await second.send(subject, request_id="same")
        await asyncio.gather(first.frame(), second.frame())
        await _cancel(bus, "w-c", "other", None)
        await _cancel(bus, "w-c", "same", first.inbox)
        assert [frame.WhichOneof("body") for frame in await first.frames()] == ["failed"]
        assert responder.in_flight == 1
        handler.go.set()
        assert [frame.done for frame in await second.frames()] == [b"went"]


async def test_a_cancel_without_inbox_hits_the_request_and_garbage_hits_nothing(
    bus: Bus, subject: str, serve: Serve
) -> None:
    handler = BlockedHandler()
    async with serve(handler, worker_id="w-d"), RawCaller(bus) as caller:
        await caller.send(subject)
        await caller.frame()
        await bus.publish("llm.v1.cancel.w-d", b"\xff\xff")
        await _cancel(bus, "w-d", "r", None)
        frames = await caller.frames()
    assert (handler.reason, frames[0].failed.error.code) == ("test", "cancelled")


@pytest.mark.parametrize(("request_id", "timeout_ms", "param"), [("", 5, "Request-Id"), ("r", "soon", "Timeout-Ms")])
async def test_a_request_with_bad_headers_is_refused(
    bus: Bus, subject: str, serve: Serve, request_id: str, timeout_ms: int | str, param: str
) -> None:
    async with serve(BlockedHandler()), RawCaller(bus) as caller:
        await caller.send(subject, request_id=request_id, timeout_ms=timeout_ms)
        (frame,) = await caller.frames()
    assert (frame.failed.error.code, frame.failed.error.param) == ("invalid_request", param)


async def test_a_message_without_reply_is_ignored(bus: Bus, subject: str, serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    handler.go.set()
    async with serve(handler):
        await bus.publish(subject, b"nobody asked")
        assert await call(open_) == b"went"


async def test_a_thousand_answers_run_side_by_side(serve: Serve, open_: Open) -> None:
    together = asyncio.Event()
    entered = 0

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        nonlocal entered
        entered += 1
        if entered == 1000:
            together.set()
        await together.wait()
        for _ in range(10):
            await sink.send(b"token")
        return request.payload

    async with serve(handler, max_in_flight=1000):
        payloads = [str(index).encode() for index in range(1000)]
        outcomes = await asyncio.gather(*(call(open_, payload, deadline_seconds=20) for payload in payloads))
    assert outcomes == payloads
