"""The cases: what each does in one window, and the figures that a window gives."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench import bodies, load
from bench.client import Target
from bench.load import Load
from bench.processes import cpu_seconds, difference, tree
from bench.subjects import Subject

# what a subject still does behind the last answer (its ledger, say) belongs to the window too
_SETTLE_SECONDS = 1.5
# before the first window of a case: what is slow once is not what is measured
WARM_SECONDS = 0.7
# a subject that has not hung up by then is said not to hang up
_HANG_UP_SECONDS = 5.0
_MICRO = 1_000_000
Run = Callable[[Target, float], Awaitable[Load]]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to load a subject.

    Args:
        name: key of the results, in snake case.
        run: does one window of about so many seconds.
        per: what CPU is counted by: an answer, or a chunk of a stream.
    """

    name: str
    run: Run
    per: str = "answer"


@dataclass(slots=True)
class Window:
    """What one window gave: the load, and CPU seconds by part of the subject, the settling included."""

    load: Load
    cpu: dict[str, float]


def _closed(make: Callable[[Target], Callable[[], bytes]], connections: int) -> Run:
    async def run(target: Target, seconds: float) -> Load:
        return await load.closed(target, make(target), connections=connections, seconds=seconds)

    return run


def _open(rate: float) -> Run:
    async def run(target: Target, seconds: float) -> Load:
        return await load.open_loop(target, bodies.plain(target), rate=rate, seconds=seconds)

    return run


def _streams(count: int, *, pause_ms: int, ramp_seconds: float) -> Run:
    async def run(target: Target, seconds: float) -> Load:
        make = bodies.stream(target, chunks=max(1, round(seconds * 1000 / pause_ms)), pause_ms=pause_ms)
        return await load.streams(target, make, count=count, ramp_seconds=ramp_seconds)

    return run


def _bursts(connections: int, *, chunks: int) -> Run:
    async def run(target: Target, seconds: float) -> Load:
        make = partial(bodies.stream(target, chunks=chunks, pause_ms=0), 0)
        return await load.closed(target, make, connections=connections, seconds=seconds)

    return run


def _first_chunk(rate: float) -> Run:
    async def run(target: Target, seconds: float) -> Load:
        make = bodies.stream(target, chunks=3, pause_ms=2)
        return await load.open_loop(target, partial(make, 0), rate=rate, seconds=seconds)

    return run


_LARGE = {f"body_{size}k": partial(bodies.plain, bytes_of_prompt=size * 1000) for size in (32, 100)}
CASES: tuple[Case, ...] = (
    *(Case(f"plain_c{n}", _closed(bodies.plain, n)) for n in (1, 16, 64, 256)),
    Case("embeddings_c16", _closed(bodies.embeddings, 16)),
    *(Case(f"{name}_c16", _closed(make, 16)) for name, make in _LARGE.items()),
    *(Case(f"open_{rate}", _open(rate)) for rate in (20, 50, 100, 200)),
    Case("first_chunk", _first_chunk(50)),
    Case("chunks", _streams(32, pause_ms=10, ramp_seconds=0.2), per="chunk"),
    Case("chunks_at_once", _bursts(32, chunks=200), per="chunk"),
    *(Case(f"slow_streams_{n}", _streams(n, pause_ms=500, ramp_seconds=2.0), per="chunk") for n in (200, 500, 1000)),
)
SHORT = ("plain_c16", "plain_c64", "embeddings_c16", "body_32k_c16", "chunks", "chunks_at_once")


async def window(subject: Subject, case: Case, seconds: float) -> Window:
    """Do one window and count what the subject's processes spent on it."""
    before = {part: cpu_seconds(pids) for part, pids in parts(subject.roots).items()}
    done = await case.run(subject.target, seconds)
    await asyncio.sleep(_SETTLE_SECONDS)
    spent = {
        part: sum(difference(before[part], cpu_seconds(pids)).values()) for part, pids in parts(subject.roots).items()
    }
    return Window(done, spent)


def parts(roots: Mapping[str, int]) -> dict[str, set[int]]:
    """Return the processes of each part; those of a part that another one (the supervisor) began are only its own."""
    trees = {part: tree([root]) for part, root in roots.items()}
    return {
        part: pids.difference(*(trees[other] for other, root in roots.items() if other != part and root in pids))
        for part, pids in trees.items()
    }


def cpu_micros(windows: list[Window], per: str) -> dict[str, float]:
    """Return microseconds of CPU for each answer or chunk, by part and in `total`; all windows together."""
    units = sum(len(w.load.chunk_delays) if per == "chunk" else w.load.answered for w in windows)
    if not units or not any(w.cpu for w in windows):
        return {}
    parts = {part: sum(w.cpu.get(part, 0.0) for w in windows) * _MICRO / units for part in windows[0].cpu}
    return {"total": sum(parts.values()), **parts}


async def idle_cpu(subject: Subject, seconds: float) -> float:
    """Return milliseconds of CPU a second that the subject spends while nobody asks it anything."""
    roots = subject.roots.values()
    before = cpu_seconds(tree(roots))
    await asyncio.sleep(seconds)
    return sum(difference(before, cpu_seconds(tree(roots))).values()) * 1000 / seconds


async def cancellation(subject: Subject, origin: str, *, count: int, name: str) -> tuple[list[int], Load]:
    """Hang up on streams; return nanoseconds until the upstream lost each, and what failed."""
    make = bodies.stream(subject.target, chunks=600, pause_ms=100, name=name)
    left, done = await load.hang_ups(subject.target, make, count=count)
    await asyncio.sleep(_HANG_UP_SECONDS)

    def fetched() -> dict[str, int]:
        with urllib.request.urlopen(f"{origin}/gone", timeout=10) as answer:
            found: dict[str, int] = json.load(answer)
            return found

    gone = await asyncio.to_thread(fetched)
    delays = [gone[key] - at for number, at in left.items() if (key := f"{name}{number}") in gone]
    for _ in range(len(left) - len(delays)):
        done.fail(RuntimeError("the upstream was not told"))
    return delays, done
