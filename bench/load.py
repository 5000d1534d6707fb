"""Loads: closed (so many connections, each with the next request when the last is answered), open (so many requests a
second whatever comes back, timed from when each was due, so that a stall counts for all that it held up), and streams.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.client import Answer, Broken, Connection, Target

# what a request may take before it counts as failed
_DEADLINE_SECONDS = 30.0


@dataclass(slots=True)
class Load:
    """What a window of load gave; times in nanoseconds."""

    seconds: float = 0.0
    answered: int = 0
    failed: int = 0
    failure: str = ""
    latencies: list[int] = field(default_factory=list[int])
    first_chunks: list[int] = field(default_factory=list[int])
    chunk_delays: list[int] = field(default_factory=list[int])

    def note(self, began: int, answer: Answer) -> None:
        """Take an answer."""
        self.answered += 1
        self.latencies.append(answer.ended_at - began)
        self.first_chunks.append(answer.first_byte_at - began)
        self.chunk_delays += answer.chunk_delays

    def fail(self, error: Exception) -> None:
        """Take a failure."""
        self.failed += 1
        self.failure = self.failure or f"{type(error).__name__}: {error}"[:300]


async def closed(target: Target, make: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    """Keep so many connections busy for so long; answers that end later still count, and so does their time."""
    load, until, began = Load(), time.monotonic() + seconds, time.monotonic()

    async def work() -> None:
        connection: Connection | None = None
        while time.monotonic() < until:
            try:
                if connection is None or not connection.is_open:
                    connection = await target.connect()
                sent = time.monotonic_ns()
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    load.note(sent, await connection.send(make()))
            except (Broken, OSError, TimeoutError) as error:
                load.fail(error)
                connection = None
                await asyncio.sleep(0.05)
        if connection is not None:
            connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    load.seconds = time.monotonic() - began
    return load


async def open_loop(target: Target, make: Callable[[], bytes], *, rate: float, seconds: float) -> Load:
    """Send `rate` requests a second at even times; each latency counts from the time at which it was due."""
    load, idle, tasks = Load(), list[Connection](), set[asyncio.Task[None]]()

    async def one(due: int) -> None:
        connection = None
        try:
            while idle and not idle[-1].is_open:
                idle.pop()
            connection = idle.pop() if idle else await target.connect()
            async with asyncio.timeout(_DEADLINE_SECONDS):
                load.note(due, await connection.send(make()))
            idle.append(connection)
        except (Broken, OSError, TimeoutError) as error:
            load.fail(error)
            if connection is not None:
                connection.close()

    for connection in await asyncio.gather(*(target.connect() for _ in range(4))):
        idle.append(connection)
    began = time.monotonic_ns()
    for number in range(round(rate * seconds)):
        due = began + round(number * 1e9 / rate)
        await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=_DEADLINE_SECONDS)
    for connection in idle:
        connection.close()
    load.seconds = (time.monotonic_ns() - began) / 1e9
    return load


async def streams(target: Target, make: Callable[[int], bytes], *, count: int, ramp_seconds: float) -> Load:
    """Read so many streams at once, begun evenly over the ramp."""
    load, began = Load(), time.monotonic()

    async def one(number: int) -> None:
        connection = None
        try:
            await asyncio.sleep(ramp_seconds * number / count)
            connection = await target.connect()
            sent = time.monotonic_ns()
            async with asyncio.timeout(_DEADLINE_SECONDS * 2):
                load.note(sent, await connection.send(make(number)))
        except (Broken, OSError, TimeoutError) as error:
            load.fail(error)
        finally:
            if connection is not None:
                connection.close()

    await asyncio.gather(*(one(number) for number in range(count)))
    load.seconds = time.monotonic() - began
    return load


async def hang_ups(target: Target, make: Callable[[int], bytes], *, count: int) -> tuple[dict[int, int], Load]:
    """Begin streams, and leave each behind its first chunks; return when, by number, and what failed."""
    left: dict[int, int] = {}
    load = Load()

    async def one(number: int) -> None:
        try:
            connection = await target.connect()
            has_begun = asyncio.Event()
            answer = connection.send(make(number), has_begun.set)
            answer.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await has_begun.wait()
            await asyncio.sleep(0.05)
            left[number] = time.monotonic_ns()
            connection.close()
            load.answered += 1
        except (Broken, OSError, TimeoutError) as error:
            load.fail(error)

    for number in range(count):
        await one(number)
    return left, load
