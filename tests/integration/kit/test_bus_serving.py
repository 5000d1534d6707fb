from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from llm_manager.core.errors import (
    DeadlineExceeded,
    InternalError,
    LlmManagerError,
    RequestCancelled,
    UpstreamFailure,
    UpstreamRefused,
    WorkerLost,
)
from llm_manager.kit.bus import frame_sink, serving
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.discovery import EndpointCounts
from llm_manager.kit.bus.lean import LeanClient
from llm_manager.kit.bus.requests import FrameStream
from llm_manager.kit.bus.responder import FrameSink, IncomingRequest, Responder
from llm_manager.testing.bus_parties import BlockedHandler, RawCaller, outcome_of, until

Serve = Callable[..., Responder]
Open = Callable[..., AbstractAsyncContextManager[FrameStream]]


async def outcome(stream: FrameStream) -> bytes | LlmManagerError:
    return (await outcome_of(stream))[1]


async def call(open_: Open, payload: bytes = b"", *, deadline_seconds: float = 5.0) -> bytes | LlmManagerError:
    async with open_(payload, deadline_seconds=deadline_seconds) as stream:
        return await outcome(stream)


async def test_the_handler_gets_the_request_and_its_messages_arrive(subject: str, serve: Serve, open_: Open) -> None:
    seen: list[IncomingRequest] = []

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        seen.append(request)
        for word in (b"one", b"two"):
            await sink.send(word)
        return b"done:" + request.payload

    async with serve(handler, worker_id="w-7"), open_(b"hello", request_id="id-1", deadline_seconds=5) as stream:
        assert [message async for message in stream] == [b"one", b"two"]
        assert (stream.done, stream.worker_id) == (b"done:hello", "w-7")

    (request,) = seen
    assert (request.subject, request.request_id, request.cancel_reason) == (subject, "id-1", None)
    assert 4.0 < request.deadline - asyncio.get_running_loop().time() <= 5.0


async def test_the_first_words_and_the_end_never_wait_for_others(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, open_: Open
) -> None:
    waiting: list[bool] = []
    put = LeanClient.send

    def send(
        client: LeanClient, subject: str, payload: bytes, *, reply: str = "", head: bytes | None = None, can_wait: bool
    ) -> None:
        if payload != b"request":
            waiting.append(can_wait)
        put(client, subject, payload, reply=reply, head=head, can_wait=can_wait)

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        for number in range(4):
            await sink.send(str(number).encode())
        return b"done"

    monkeypatch.setattr(LeanClient, "send", send)
    async with serve(handler), open_(b"request") as stream:
        assert await outcome(stream) == b"done"
    # accepted, the role, the first word, two words, the end
    assert waiting == [False, False, False, True, True, False]


async def test_an_error_of_the_tree_travels_with_its_detail(serve: Serve, open_: Open) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        error = UpstreamRefused("no such model", http_status=404, upstream=UpstreamFailure(404, code="model_gone"))
        error.detail = b"usage"
        raise error

    async with serve(handler):
        ended = await call(open_)

    assert isinstance(ended, UpstreamRefused)
    assert (ended.http_status, ended.upstream, ended.detail) == (
        404,
        UpstreamFailure(404, "model_gone"),
        b"usage",
    )


async def test_an_unknown_exception_becomes_an_internal_error_that_tells_nothing(serve: Serve, open_: Open) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        raise ZeroDivisionError("a secret of ours")

    async with serve(handler):
        ended = await call(open_)

    assert isinstance(ended, InternalError)
    assert "secret" not in str(ended)
    assert "'r'" in str(ended)


async def test_a_cancel_stops_the_handler_and_brings_its_accounting(serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    async with serve(handler), open_() as stream:
        await handler.started.wait()
        stream.cancel("client_disconnected")
        ended = await outcome(stream)

    assert isinstance(ended, RequestCancelled)
    assert (handler.reason, ended.detail) == ("client_disconnected", b"usage so far")


async def test_leaving_the_answer_stops_the_handler(serve: Serve, open_: Open) -> None:
    handler = BlockedHandler()
    async with serve(handler):
        async with open_() as stream:
            await until(lambda: bool(stream.worker_id))
        await handler.ended.wait()
    assert handler.reason == "client_disconnected"


async def test_the_deadline_stops_the_handler(bus: Bus, subject: str, serve: Serve) -> None:
    handler = BlockedHandler()
    async with serve(handler), RawCaller(bus) as caller:
        await caller.send(subject, timeout_ms=100)
        frames = await caller.frames()

    assert handler.reason == "deadline_exceeded"
    assert (frames[-1].failed.error.code, frames[-1].failed.detail) == (DeadlineExceeded.code, b"usage so far")


async def test_a_handler_that_finishes_in_spite_of_the_cancel_is_believed(serve: Serve, open_: Open) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return b"just made it"
        return b""

    async with serve(handler), open_() as stream:
        await until(lambda: bool(stream.worker_id))
        stream.cancel("client_disconnected")
        assert await outcome(stream) == b"just made it"


async def test_a_cancel_comes_too_late_for_a_handler_that_only_accounts(serve: Serve, open_: Open) -> None:
    release = asyncio.Event()
    requests: list[IncomingRequest] = []

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        request.is_settling = True
        requests.append(request)
        await release.wait()
        return b"accounted"

    async with serve(handler), open_() as stream:
        await until(lambda: bool(requests))
        stream.cancel("client_disconnected")
        await until(lambda: requests[0].cancel_reason == "client_disconnected")
        release.set()
        assert await outcome(stream) == b"accounted"


async def test_accounting_that_takes_too_long_after_a_late_cancel_is_cut_off(
    serve: Serve, open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ACCOUNTING_SECONDS", 0.05)
    stopped = asyncio.Event()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        request.is_settling = True
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return b""

    async with serve(handler), open_() as stream:
        await until(lambda: bool(stream.worker_id))
        stream.cancel("client_disconnected")
        assert isinstance(await outcome(stream), RequestCancelled)
        await asyncio.wait_for(stopped.wait(), 2)


async def test_a_request_that_is_cancelled_before_it_runs_is_answered_at_once(
    bus: Bus, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ACCOUNTING_SECONDS", 60.0)
    handler, claims = BlockedHandler(), ClaimStore(bus)
    deadline = asyncio.get_running_loop().time() + 5
    request = IncomingRequest(subject=subject, payload=b"", request_id="r", deadline=deadline, headers={})
    async with RawCaller(bus) as caller:
        sink = FrameSink(bus, claims, worker_id="w", inbox=caller.inbox, probe=bus.client.new_inbox())
        one = serving.Serving(request, sink, claims, EndpointCounts(), inbox=caller.inbox)
        one.start(handler, lambda: None)
        one.cancel("shutdown")  # the loop had no turn yet
        (frame,) = await caller.frames()
    assert (frame.failed.error.code, handler.started.is_set()) == (WorkerLost.code, False)


async def test_a_reader_that_was_wrongly_taken_for_gone_is_told_to_retry(bus: Bus, subject: str) -> None:
    claims = ClaimStore(bus)
    deadline = asyncio.get_running_loop().time() + 5
    request = IncomingRequest(subject=subject, payload=b"", request_id="r", deadline=deadline, headers={})
    async with RawCaller(bus) as caller:
        sink = FrameSink(bus, claims, worker_id="w", inbox=caller.inbox, probe=bus.client.new_inbox())
        one = serving.Serving(request, sink, claims, EndpointCounts(), inbox=caller.inbox)
        one.start(BlockedHandler(), lambda: None)
        one.cancel("requester_gone")
        (frame,) = await caller.frames()
    assert frame.failed.error.code == WorkerLost.code


async def test_a_reader_is_not_given_up_before_the_reconnect_is_told(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_sink, "_RESUME_SECONDS", 0.0)
    inbox, probe = bus.client.new_inbox(), bus.client.new_inbox()
    sink = FrameSink(bus, ClaimStore(bus), worker_id="w", inbox=inbox, probe=probe)
    bus.note_disconnected()
    assert bus.client.is_connected  # as nats-py says it some milliseconds before it calls back
    assert await sink.beat()


async def test_accounting_that_never_ends_is_cut_off_with_a_terminal_frame(
    serve: Serve, open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ACCOUNTING_SECONDS", 0.05)
    release = asyncio.Event()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return b"too late"

    async with serve(handler), open_() as stream:
        await until(lambda: bool(stream.worker_id))
        stream.cancel("client_disconnected")
        ended = await outcome(stream)
        release.set()

    assert isinstance(ended, RequestCancelled)


async def test_code_of_the_handler_that_cancels_itself_is_an_internal_error(serve: Serve, open_: Open) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        raise asyncio.CancelledError

    async with serve(handler):
        assert isinstance(await call(open_), InternalError)


async def test_frames_are_numbered_from_accepted_to_exactly_one_terminal(bus: Bus, subject: str, serve: Serve) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(sink.send(b"m"))
        return b"end"

    async with serve(handler), RawCaller(bus) as caller:
        await caller.send(subject)
        frames = await caller.frames()

    assert [frame.sequence for frame in frames] == list(range(7))
    assert [frame.WhichOneof("body") for frame in frames] == ["accepted", *["message"] * 5, "done"]


@pytest.mark.parametrize("is_failure", [False, True])
async def test_messages_that_may_leave_with_the_next_keep_their_order(
    bus: Bus, subject: str, serve: Serve, is_failure: bool
) -> None:
    release = asyncio.Event()

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        await sink.send(b"1", with_next=True)
        await sink.send(b"2")
        await sink.send(b"3", with_next=True)
        await sink.send(b"4", with_next=True)
        await release.wait()
        if is_failure:
            raise RequestCancelled("no more")
        return b"end"

    async with serve(handler), RawCaller(bus) as caller:
        await caller.send(subject)
        await until(lambda: caller.waiting == 4)
        await bus.client.flush()
        assert caller.waiting == 4  # the fourth message waits for the end
        release.set()
        frames = await caller.frames()

    assert [frame.sequence for frame in frames] == list(range(6))
    assert [frame.message for frame in frames[1:5]] == [b"1", b"2", b"3", b"4"]
    assert frames[5].WhichOneof("body") == ("failed" if is_failure else "done")


async def test_nothing_can_be_sent_after_the_end(serve: Serve, open_: Open) -> None:
    sinks: list[FrameSink] = []

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        sinks.append(sink)
        return b""

    async with serve(handler):
        await call(open_)
        with pytest.raises(RuntimeError, match="has ended"):
            await sinks[0].send(b"more")


async def test_a_silent_handler_is_kept_alive_by_heartbeats(
    bus: Bus, subject: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_sink, "HEARTBEAT_SECONDS", 0.1)
    handler = BlockedHandler()
    async with serve(handler), RawCaller(bus) as caller:
        await caller.send(subject)
        frames = [await caller.frame() for _ in range(3)]
        handler.go.set()
        frames += await caller.frames()
    assert [frame.WhichOneof("body") for frame in frames[:3]] == ["accepted", "heartbeat", "heartbeat"]
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
