"""`python -m bench.soak`: a great many requests of all kinds, and whether the product holds more memory after them.

A tenth as many requests come first, and eleven minutes of them, so that what is bounded by number or by age is full
before the first look: claims that nobody fetched are kept for ten minutes (kit/bus/streams.py). What is looked at is
proportional memory at rest that no file backs: libraries that other programs map as well would come and go in it. The
run fails when it grew by more than 3 % from the first look to the last; the looks between tell whether it grows on (a
leak) or came to a plateau (caches or pools that were not full yet).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench import subjects
from bench.cases import parts
from bench.mix import Mix
from bench.processes import anonymous_bytes, cpu_seconds, difference, tree
from bench.subjects import Subject

MOST_DRIFT = 0.03
_LOOKS = 4
_WARM_SECONDS = 660.0
# requests between two looks at the clock
_WARM_STRETCH = 1000
# at rest: no more CPU than this in so long, twice; or this long without coming to rest
_REST_CPU_SECONDS, _REST_SECONDS, _REST_DEADLINE_SECONDS = 0.25, 1.0, 90.0


@dataclass(frozen=True, slots=True)
class Look:
    """Proportional anonymous memory in bytes by part of the product, when so many requests were answered."""

    requests: int
    bytes_of: dict[str, int]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.bytes_of.values())


@dataclass(slots=True)
class Soak:
    """What a run gave; the first look is the one behind the warming up."""

    looks: list[Look] = field(default_factory=list[Look])
    failure: str = ""

    @property
    def drift(self) -> float:
        """Growth from the first look to the last, as a share."""
        return self.looks[-1].total / self.looks[0].total - 1

    @property
    def later_drift(self) -> float:
        """Growth from the look in the middle to the last, as a share."""
        return self.looks[-1].total / self.looks[len(self.looks) // 2].total - 1

    def bytes_per_request(self, part: str = "") -> float:
        """Return the median over the stretches between looks: one step up does not move it, a steady leak does."""
        sizes = [look.bytes_of[part] if part else look.total for look in self.looks]
        counts = [look.requests for look in self.looks]
        return statistics.median(
            (sizes[i + 1] - sizes[i]) / (counts[i + 1] - counts[i]) for i in range(len(self.looks) - 1)
        )


def rest(subject: Subject) -> None:
    """Return when the product has nothing left to do, or does not come to rest."""
    deadline, quiet = time.monotonic() + _REST_DEADLINE_SECONDS, 0
    while quiet < 2 and time.monotonic() < deadline:
        before = cpu_seconds(tree(subject.roots.values()))
        time.sleep(_REST_SECONDS)
        spent = difference(before, cpu_seconds(tree(subject.roots.values())))
        quiet = quiet + 1 if sum(spent.values()) < _REST_CPU_SECONDS else 0


def look(subject: Subject, requests: int) -> Look:
    """Look at a product at rest."""
    rest(subject)
    return Look(requests, {part: anonymous_bytes(pids) for part, pids in parts(subject.roots).items()})


def run(subject: Subject, *, requests: int, warm: int, warm_seconds: float = 0.0, looks: int = _LOOKS) -> Soak:
    """Soak a product; ends early with a `failure` when an answer is not what it should be.

    Args:
        requests: behind the warming up, which asks `warm` at least, and for `warm_seconds` at least.
        looks: behind equal stretches of the requests, besides the one behind the warming up.
    """
    soak, mix, done, began = Soak(), Mix(subject.target), 0, time.monotonic()
    while not soak.failure and (done < warm or time.monotonic() - began < warm_seconds):
        stretch = min(_WARM_STRETCH, warm - done) if done < warm else _WARM_STRETCH
        soak.failure = uvloop.run(mix.ask(range(done, done + stretch)))
        done += stretch
    _note(soak, look(subject, done), done / (time.monotonic() - began))
    for number in range(looks):
        if soak.failure:
            break
        stretch, began = requests * (number + 1) // looks - requests * number // looks, time.monotonic()
        soak.failure = uvloop.run(mix.ask(range(done, done + stretch)))
        done += stretch
        rate = stretch / (time.monotonic() - began)
        _note(soak, look(subject, done), rate)
    return soak


def _note(soak: Soak, found: Look, rate: float) -> None:
    soak.looks.append(found)
    sys.stdout.write(f"{found.requests} requests, {rate:.0f}/s: {found.total / 2**20:.1f} MiB\n")
    sys.stdout.flush()


def table(soak: Soak) -> str:
    """Return MiB by part at each look, and bytes for each request."""
    heads = [f"{found.requests:>10}" for found in soak.looks]
    lines = [f"{'MiB after':12}{''.join(heads)}{'drift':>9}{'B/request':>11}"]
    for part in [*soak.looks[0].bytes_of, ""]:
        sizes = [found.bytes_of[part] if part else found.total for found in soak.looks]
        cells = "".join(f"{size / 2**20:10.1f}" for size in sizes)
        lines.append(f"{part or 'total':12}{cells}{sizes[-1] / sizes[0] - 1:9.1%}{soak.bytes_per_request(part):11.1f}")
    return "\n".join(lines)


def verdict(soak: Soak) -> str:
    """Return one sentence on the drift."""
    size = f"Memory drifted by {soak.drift:.1%}, at most {MOST_DRIFT:.0%} is allowed"
    if soak.drift <= MOST_DRIFT:
        return f"{size}: passed."
    kind = "it grows on" if soak.later_drift > MOST_DRIFT / 2 else "it came to a plateau, so look at what fills late"
    return f"{size}; {soak.later_drift:.1%} in the second half: {kind}. FAILED."


def main(arguments: Sequence[str]) -> int:
    """Soak; returns 1 when memory drifted too far or an answer was not what it should be."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000, help="behind the warming up (1000000)")
    parser.add_argument("--warm", type=int, default=0, help="before the first look (a tenth of the requests)")
    parser.add_argument("--warm-seconds", type=float, default=_WARM_SECONDS, help=f"at least ({_WARM_SECONDS:.0f})")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    requests, warm = int(given["requests"]), int(given["warm"])
    subjects.stop_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-manager-soak-")))
        origin = stack.enter_context(subjects.upstream())
        product = stack.enter_context(subjects.product(origin, folder / "product"))
        soak = run(product, requests=requests, warm=warm or max(1, requests // 10), warm_seconds=given["warm_seconds"])
    if soak.failure:
        sys.stdout.write(f"A request went wrong: {soak.failure}\n")
        return 1
    sys.stdout.write(f"{table(soak)}\n{verdict(soak)}\n")
    return int(soak.drift > MOST_DRIFT)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
