import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llm_manager.core.errors import DeadlineExceeded, StoreUnavailable
from llm_manager.kit.dedicated_thread import DedicatedThread


@asynccontextmanager
async def running(*, max_queue: int = 10) -> AsyncGenerator[DedicatedThread]:
    thread = DedicatedThread("sample", max_queue=max_queue)
    thread.start()
    yield thread
    await thread.stop()


async def test_every_call_runs_on_the_same_other_thread() -> None:
    async with running() as thread:
        seen = {await thread.run(threading.get_ident, deadline_seconds=1) for _ in range(3)}

    assert len(seen) == 1
    assert seen != {threading.get_ident()}


async def test_an_error_of_a_call_reaches_its_caller_and_the_thread_goes_on() -> None:
    def fail() -> None:
        raise KeyError("x")

    async with running() as thread:
        with pytest.raises(KeyError):
            await thread.run(fail, deadline_seconds=1)

        assert await thread.run(lambda: 1, deadline_seconds=1) == 1


async def test_a_late_call_is_typed_and_a_waiting_one_whose_deadline_passed_is_never_started() -> None:
    gate, started = threading.Event(), list[str]()
    async with running() as thread:
        with pytest.raises(DeadlineExceeded):
            await thread.run(gate.wait, deadline_seconds=0.02)
        with pytest.raises(DeadlineExceeded):
            await thread.run(lambda: started.append("late"), deadline_seconds=0.02)
        gate.set()
        await thread.run(lambda: started.append("next"), deadline_seconds=1)

    assert started == ["next"]


async def test_a_timeout_of_the_library_itself_is_passed_on() -> None:
    def fail() -> None:
        raise TimeoutError("the library's own")

    async with running() as thread:
        with pytest.raises(TimeoutError, match="library's own"):
            await thread.run(fail, deadline_seconds=1)


async def test_more_calls_than_the_queue_holds_are_refused() -> None:
    gate = threading.Event()
    async with running(max_queue=1) as thread:
        calls = [asyncio.create_task(thread.run(gate.wait, deadline_seconds=5)) for _ in range(4)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
        gate.set()
        results = await asyncio.gather(*calls, return_exceptions=True)

    assert any(isinstance(result, StoreUnavailable) for result in results)
    assert any(result is True for result in results)


async def test_a_stop_lets_waiting_calls_finish_then_runs_the_last_one() -> None:
    order: list[str] = []
    thread = DedicatedThread("sample", max_queue=10)
    thread.start()
    waiting = [asyncio.create_task(thread.run(lambda: order.append("call"), deadline_seconds=1)) for _ in range(2)]
    await asyncio.sleep(0)

    await thread.stop(last=lambda: order.append("last"))

    await asyncio.gather(*waiting)
    assert order == ["call", "call", "last"]
    with pytest.raises(StoreUnavailable, match="stopped"):
        await thread.run(lambda: None, deadline_seconds=1)
    await thread.stop()
