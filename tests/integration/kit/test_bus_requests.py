from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest

from llm_manager.contracts.bus.v1.frame_pb2 import Failed, Frame, Heartbeat
from llm_manager.core.errors import (
    BudgetExceeded,
    BusUnavailable,
    DeadlineExceeded,
    LlmManagerError,
    NoWorker,
    RequestCancelled,
    WorkerLost,
)
from llm_manager.kit.bus import frame_stream
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.requests import Ending, FrameStream, Requester
from llm_manager.kit.errors_wire import to_proto
from llm_manager.testing.bus_parties import until
from llm_manager.testing.scripted_worker import ScriptedWorker, scripted_worker


@pytest.fixture
async def requester(bus: Bus) -> AsyncGenerator[Requester]:
    async with Requester(bus) as entered:
        yield entered


def _messages(*bodies: bytes, first: int = 1) -> list[Frame]:
    return [Frame(sequence=first + index, message=body) for index, body in enumerate(bodies)]


def _failed(detail: bytes) -> Frame:
    return Frame(sequence=1, failed=Failed(error=to_proto(RequestCancelled("stopped")), detail=detail))


async def _read(stream: FrameStream) -> list[bytes]:
    return [message async for message in stream]


async def _all(requester: Requester, subject: str, deadline_seconds: float = 5.0) -> list[bytes]:
    async with requester.stream(subject, b"", request_id="r", deadline_seconds=deadline_seconds) as stream:
        return [*await _read(stream), stream.done]


async def test_messages_arrive_in_order_and_then_the_done_payload(bus: Bus, requester: Requester, subject: str) -> None:
    frames = [*_messages(b"a", b"", b"c"), Frame(sequence=4, done=b"end")]
    async with scripted_worker(bus, subject, frames, worker_id="w1"):
        async with requester.stream(subject, b"hello", request_id="r", deadline_seconds=5) as stream:
            assert await _read(stream) == [b"a", b"", b"c"]
        assert (stream.done, stream.worker_id) == (b"end", "w1")
    assert requester.in_flight == 0


async def test_the_request_carries_its_id_its_remaining_time_and_the_callers_headers(
    bus: Bus, requester: Requester, subject: str
) -> None:
    headers = {"traceparent": "00-aa-bb-01"}
    async with (
        scripted_worker(bus, subject) as worker,
        requester.stream(subject, b"payload", request_id="req-1", deadline_seconds=5, headers=headers),
    ):
        request = await worker.requests.get()

    assert request.data == b"payload"
    assert request.headers is not None
    assert 0 < int(request.headers.pop("Timeout-Ms")) <= 5000
    assert request.headers == {"Request-Id": "req-1", "traceparent": "00-aa-bb-01"}


async def test_without_a_worker_the_error_names_the_kind(requester: Requester, subject: str) -> None:
    with pytest.raises(NoWorker, match=subject.rpartition(".")[2]) as caught:
        await _all(requester, subject)
    assert (caught.value.http_status, caught.value.retryable, caught.value.detail) == (503, True, b"")


async def test_the_workers_error_is_raised_with_its_detail_after_the_messages(
    bus: Bus, requester: Requester, subject: str
) -> None:
    error = BudgetExceeded("spent", retry_after_seconds=2.5, param="model")
    failed = Frame(sequence=2, failed=Failed(error=to_proto(error), detail=b"usage so far"))
    async with (
        scripted_worker(bus, subject, [*_messages(b"a"), failed]),
        requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream,
    ):
        assert await anext(aiter(stream)) == b"a"
        with pytest.raises(BudgetExceeded) as caught:
            await _read(stream)

    assert (str(caught.value), caught.value.retry_after_seconds, caught.value.param) == ("spent", 2.5, "model")
    assert caught.value.detail == b"usage so far"


async def test_a_refusal_before_acceptance_is_raised(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            request = await worker.requests.get()
            refusal = Failed(error=to_proto(BudgetExceeded("no")))
            await worker.answer(request, [Frame(sequence=0, failed=refusal)])
            with pytest.raises(BudgetExceeded):
                await _read(stream)
        assert stream.worker_id == ""
        await bus.client.flush()
        assert worker.cancels.empty()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([*_messages(b"a"), *_messages(b"c", first=4)], "2 frames of the answer were lost"),
        ([b"\xff\xff not a frame"], "cannot be read"),
    ],
    ids=["gap", "garbage"],
)
async def test_a_broken_answer_is_a_lost_worker_and_is_cancelled_there(
    bus: Bus, requester: Requester, subject: str, frames: list[Frame | bytes], message: str
) -> None:
    async with scripted_worker(bus, subject, frames) as worker:
        with pytest.raises(WorkerLost, match=message):
            await _all(requester, subject)
        cancel = await worker.cancels.get()
    assert (cancel.request_id, cancel.reason) == ("r", "worker_lost")


async def test_frames_that_come_twice_are_ignored(bus: Bus, requester: Requester, subject: str) -> None:
    a, b = _messages(b"a", b"b")
    async with scripted_worker(bus, subject, [a, a, b, a, Frame(sequence=3, done=b"end")]):
        assert await _all(requester, subject) == [b"a", b"b", b"end"]


async def test_heartbeats_are_numbered_but_not_seen(bus: Bus, requester: Requester, subject: str) -> None:
    beat = Frame(sequence=1, heartbeat=Heartbeat())
    async with scripted_worker(bus, subject, [beat, *_messages(b"a", first=2), Frame(sequence=3, done=b"end")]):
        assert await _all(requester, subject) == [b"a", b"end"]


@pytest.mark.parametrize("is_accepted", [True, False])
async def test_a_silent_worker_is_lost(bus: Bus, subject: str, is_accepted: bool) -> None:
    async with (
        Requester(bus, silence_seconds=0.2) as requester,
        scripted_worker(bus, subject) as worker,
        requester.stream(subject, b"", request_id="r", deadline_seconds=30) as stream,
    ):
        request = await worker.requests.get()
        if is_accepted:
            await worker.answer(request, [worker.accepted()])
        with pytest.raises(WorkerLost, match="silent"):
            await _read(stream)


async def test_heartbeats_keep_a_slow_worker_from_being_taken_for_lost(bus: Bus, subject: str) -> None:
    async with Requester(bus, silence_seconds=0.3) as requester, scripted_worker(bus, subject) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=30) as stream:
            request = await worker.requests.get()
            await worker.answer(request, [worker.accepted()])
            for sequence in range(1, 5):
                await asyncio.sleep(0.15)
                await worker.answer(request, [Frame(sequence=sequence, heartbeat=Heartbeat())])
            await worker.answer(request, [Frame(sequence=5, done=b"end")])
            assert await _read(stream) == []
        assert stream.done == b"end"


async def test_the_deadline_ends_the_wait_and_cancels_the_worker(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject, _messages(b"a")) as worker:
        with pytest.raises(DeadlineExceeded):
            await _all(requester, subject, deadline_seconds=0.2)
        assert (await worker.cancels.get()).reason == "deadline_exceeded"


async def test_a_deadline_in_the_past_sends_nothing(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject) as worker:
        with pytest.raises(DeadlineExceeded):
            await _all(requester, subject, deadline_seconds=0.0)
        await bus.client.flush()
        assert worker.requests.empty()
    assert requester.in_flight == 0


async def test_leaving_early_cancels_the_worker(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject, _messages(b"a", b"b")) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            assert await anext(aiter(stream)) == b"a"
        cancel = await worker.cancels.get()
        with pytest.raises(RuntimeError, match="not been read"):
            _ = stream.done
    assert (cancel.request_id, cancel.reason) == ("r", "client_disconnected")


@pytest.mark.requirement("L-24")
async def test_leaving_before_acceptance_cancels_the_worker_that_accepts(
    bus: Bus, requester: Requester, subject: str
) -> None:
    async with scripted_worker(bus, subject) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5):
            request = await worker.requests.get()
        await worker.answer(request, [worker.accepted()])
        cancel = await worker.cancels.get()
    assert (cancel.request_id, cancel.reason) == ("r", "client_disconnected")


@pytest.mark.requirement("L-24")
@pytest.mark.parametrize(
    ("said", "ending"),
    [
        ([Frame(sequence=1, done=b"usage")], Ending.ACCOUNTED),
        ([Frame(sequence=1, heartbeat=Heartbeat()), Frame(sequence=2, done=b"usage")], Ending.ACCOUNTED),
        ([_failed(b"usage")], Ending.ACCOUNTED),
        ([_failed(b"")], Ending.UNBEGUN),
        ([Frame(sequence=1, heartbeat=Heartbeat())], Ending.UNKNOWN),
        ([b"\xff\xff"], Ending.UNKNOWN),
        ([], Ending.UNKNOWN),
    ],
)
@pytest.mark.parametrize("is_accepted", [True, False], ids=["accepted", "unaccepted"])
async def test_whoever_leaves_learns_how_the_worker_ended_it(
    bus: Bus, subject: str, said: list[Frame | bytes], ending: Ending, *, is_accepted: bool
) -> None:
    async with scripted_worker(bus, subject) as worker, Requester(bus, silence_seconds=0.5) as requester:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            request = await worker.requests.get()
            if is_accepted:
                await worker.answer(request, [worker.accepted()])
                await until(lambda: bool(stream.worker_id))
        await worker.answer(request, said if is_accepted else [worker.accepted(), *said])
        assert stream.ending is not None
        async with asyncio.timeout(8):
            assert await stream.ending is ending
        assert (await worker.cancels.get()).reason == "client_disconnected"


async def test_an_answer_that_is_over_has_nothing_left_to_be_told(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject, [Frame(sequence=1, done=b"usage")]):
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            assert await _read(stream) == []
        assert stream.ending is None


async def test_a_cancel_before_acceptance_takes_effect_on_acceptance(
    bus: Bus, requester: Requester, subject: str
) -> None:
    async with (
        scripted_worker(bus, subject) as worker,
        requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream,
    ):
        request = await worker.requests.get()
        stream.cancel("operator")
        await worker.answer(request, [worker.accepted()])
        assert (await worker.cancels.get()).reason == "operator"


async def test_a_cancelled_answer_still_brings_what_was_used(bus: Bus, requester: Requester, subject: str) -> None:
    async with scripted_worker(bus, subject, _messages(b"a")) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            assert await anext(aiter(stream)) == b"a"
            stream.cancel("client_disconnected")
            stream.cancel("again")
            await worker.cancels.get()
            failed = Failed(error=to_proto(RequestCancelled("stopped")), detail=b"usage")
            await worker.answer(worker.requests.get_nowait(), [Frame(sequence=2, failed=failed)])
            with pytest.raises(RequestCancelled) as caught:
                await _read(stream)
        await bus.client.flush()
        assert worker.cancels.empty()
    assert caught.value.detail == b"usage"


async def test_a_worker_that_probes_an_abandoned_answer_is_told(bus: Bus, requester: Requester, subject: str) -> None:
    replied = asyncio.Event()

    async def on_reply(_: object) -> None:
        replied.set()

    probe = bus.client.new_inbox()
    await bus.subscribe(probe, on_reply)
    async with scripted_worker(bus, subject) as worker:
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5):
            request = await worker.requests.get()
        await worker.answer(request, [worker.accepted()], probe=probe)
        async with asyncio.timeout(2):
            await replied.wait()
    assert replied.is_set()


async def _overflow(worker: ScriptedWorker, stream: FrameStream, frames: list[Frame]) -> LlmManagerError:
    await worker.answer(await worker.requests.get(), [worker.accepted(), *frames])
    assert (await worker.cancels.get()).reason == "slow_reader"
    with pytest.raises(RequestCancelled, match="too slowly") as caught:
        await _read(stream)
    return caught.value


@pytest.mark.parametrize(("count", "size"), [(140, 64 * 1024), (33_000, 1)], ids=["bytes", "frames"])
async def test_a_reader_that_is_too_slow_is_cut_off_instead_of_filling_the_memory(
    bus: Bus, requester: Requester, subject: str, count: int, size: int
) -> None:
    frames = _messages(*[b"x" * size] * count)
    async with (
        scripted_worker(bus, subject) as worker,
        requester.stream(subject, b"", request_id="r", deadline_seconds=10) as stream,
    ):
        error = await _overflow(worker, stream, frames)
    assert error.code == "cancelled"


async def test_a_requester_that_closes_fails_what_is_open(bus: Bus, subject: str) -> None:
    async with scripted_worker(bus, subject):
        requester = Requester(bus)
        await requester.__aenter__()
        async with requester.stream(subject, b"", request_id="r", deadline_seconds=5) as stream:
            await requester.__aexit__(None, None, None)
            with pytest.raises(BusUnavailable):
                await _read(stream)
    with pytest.raises(RuntimeError, match="not entered"):
        requester.stream(subject, b"", request_id="r", deadline_seconds=5)


async def test_a_thousand_answers_share_one_requester(bus: Bus, requester: Requester, subject: str) -> None:
    frames = [*_messages(*[b"token"] * 10), Frame(sequence=11, done=b"end")]
    async with scripted_worker(bus, subject) as worker:
        worker.requests = asyncio.Queue(1000)

        async def answer_all() -> None:
            for _ in range(1000):
                request = await worker.requests.get()
                await worker.answer(request, [worker.accepted(), *frames])

        async with asyncio.TaskGroup() as group:
            group.create_task(answer_all())
            answers = [group.create_task(_all(requester, subject, 20.0)) for _ in range(1000)]
    assert all(answer.result() == [*[b"token"] * 10, b"end"] for answer in answers)


async def test_a_loop_that_stood_still_does_not_lose_the_worker(
    bus: Bus, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_stream, "_STALL_SECONDS", 0.1)
    async with (
        Requester(bus, silence_seconds=0.15) as requester,
        scripted_worker(bus, subject) as worker,
        requester.stream(subject, b"", request_id="r", deadline_seconds=30) as stream,
    ):
        request = await worker.requests.get()
        await worker.answer(request, [worker.accepted()])
        await bus.client.flush()
        time.sleep(0.4)  # noqa: ASYNC251  # the stall that is tested
        await worker.answer(request, [Frame(sequence=1, done=b"end")])
        assert await _read(stream) == []
    assert stream.done == b"end"


@pytest.mark.requirement("B-5")
@pytest.mark.parametrize("silence_seconds", [0.0, 0.0001, 0.0004, 0.002])
async def test_a_limit_that_is_due_at_once_ends_the_answer(bus: Bus, subject: str, silence_seconds: float) -> None:
    async with (
        scripted_worker(bus, subject, [], worker_id="w1"),
        Requester(bus, silence_seconds=silence_seconds) as own,
    ):
        async with asyncio.timeout(5):
            with pytest.raises(WorkerLost, match="silent"):
                await _all(own, subject)
