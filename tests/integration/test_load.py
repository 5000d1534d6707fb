"""What the product adds to an answer under an even load, against the same upstream asked directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import bodies, load, subjects
from bench.client import Target
from bench.load import Load
from bench.results import percentile
from bench.subjects import Subject

# the targets of the specification, in milliseconds
MOST_OVERHEAD_MS, MOST_FIRST_CHUNK_MS = 100.0, 200.0
SECONDS, WARM_SECONDS = 5.0, 0.5
CALM, BUSY = 15, 50
# of the median at the busy rate against that at the calm one; a gateway that queues grows with the time it is asked
MOST_GROWTH, SLACK_MS = 3.0, 20.0
Figures = Callable[[str, object], None]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with subjects.upstream() as running:
        yield running


@pytest.fixture(scope="module")
def product(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder: Path = tmp_path_factory.mktemp("stack")
    with pytest.MonkeyPatch.context() as patch:
        # whoever counts lines is not measured along
        for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            patch.delenv(name, raising=False)
        with subjects.product(origin, folder) as running:
            yield running


async def _plain(target: Target, rate: int) -> Load:
    make = bodies.plain(target)
    await load.open_loop(target, make, rate=rate, seconds=WARM_SECONDS)
    return await load.open_loop(target, make, rate=rate, seconds=SECONDS)


async def _streams(target: Target, rate: int) -> Load:
    make = bodies.stream(target, chunks=3, pause_ms=20)
    await load.open_loop(target, lambda: make(0), rate=rate, seconds=WARM_SECONDS)
    return await load.open_loop(target, lambda: make(0), rate=rate, seconds=SECONDS)


def _ms(values: list[int], share: float = 0.5) -> float:
    return percentile(values, share) / 1e6


def _line(what: str, ours: list[int], theirs: list[int]) -> str:
    return (
        f"{what}: p50 {_ms(ours):.1f} ms, p99 {_ms(ours, 0.99):.1f} ms; "
        f"upstream alone p50 {_ms(theirs):.1f} ms, p99 {_ms(theirs, 0.99):.1f} ms"
    )


def _all_answered(done: Load, rate: int) -> None:
    assert (done.failed, done.answered) == (0, rate * SECONDS), done.failure
    # who falls behind answers the last ones late
    assert done.seconds < SECONDS + 1.0


@pytest.mark.requirement("S209", "L-33")
async def test_latency_that_is_added_is_small_and_does_not_grow_with_the_rate(
    origin: str, product: Subject, record_property: Figures
) -> None:
    medians: dict[int, float] = {}
    for rate in (CALM, BUSY):
        direct = await _plain(subjects.direct(origin).target, rate)
        ours = await _plain(product.target, rate)
        record_property("figures", _line(f"chat, {rate}/s", ours.latencies, direct.latencies))
        _all_answered(direct, rate)
        _all_answered(ours, rate)
        medians[rate] = _ms(ours.latencies)
        assert medians[rate] - _ms(direct.latencies) < MOST_OVERHEAD_MS

    assert medians[BUSY] < medians[CALM] * MOST_GROWTH + SLACK_MS


@pytest.mark.requirement("S209", "L-33")
async def test_first_chunk_comes_within_the_target(origin: str, product: Subject, record_property: Figures) -> None:
    direct = await _streams(subjects.direct(origin).target, BUSY)
    ours = await _streams(product.target, BUSY)
    record_property("figures", _line(f"first chunk, {BUSY}/s", ours.first_chunks, direct.first_chunks))

    _all_answered(direct, BUSY)
    _all_answered(ours, BUSY)
    # each stream told when it began: what is counted is a chunk with text, not headers or a comment
    assert len(ours.chunk_delays) == len(direct.chunk_delays) == 4 * ours.answered
    assert _ms(ours.first_chunks) < MOST_FIRST_CHUNK_MS
