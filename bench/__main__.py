"""`python -m bench`: one run of every case on every subject, interleaved; prints a table and keeps the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench import results, subjects, table
from bench.cases import CASES, SHORT, WARM_SECONDS, Case, Window, cancellation, idle_cpu, window
from bench.peers import NotInstallable
from bench.processes import memory_bytes, tree
from bench.subjects import Subject

_IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Options:
    rounds: int
    seconds: float
    cases: str
    subjects: frozenset[str]
    no_file: bool


def _options(arguments: Sequence[str]) -> _Options:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="windows of each case and subject (3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a window (4)")
    parser.add_argument("--cases", default="", help="names, separated by commas; `short` for those of the gate")
    parser.add_argument("--subjects", default="", help="direct, nginx, litellm, portkey, product; all when empty")
    parser.add_argument("--no-file", action="store_true", help="print only")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    chosen = frozenset(name for name in str(given.pop("subjects")).split(",") if name)
    return _Options(subjects=chosen or frozenset({"direct", *subjects.PEERS, "product"}), **given)


def _chosen(names: str) -> list[Case]:
    wanted = SHORT if names == "short" else tuple(filter(None, names.split(",")))
    return [case for case in CASES if not wanted or case.name in wanted]


async def _measured(found: list[Subject], cases: list[Case], options: _Options) -> dict[str, Any]:
    """Every case: all subjects in turn, in another order each round, so that a slow minute is slow for all."""
    answer: dict[str, Any] = {}
    for case in cases:
        windows: dict[str, list[Window]] = {subject.name: [] for subject in found}
        for subject in found:
            await case.run(subject.target, WARM_SECONDS)
        for number in range(options.rounds):
            turn = number % len(found)
            for subject in found[turn:] + found[:turn]:
                windows[subject.name].append(await window(subject, case, options.seconds))
        answer[case.name] = {name: results.figures(done, case.per) for name, done in windows.items()}
        for name, figures in answer[case.name].items():
            sys.stdout.write(f"{case.name:18} {name:12} {_line(figures)}\n")
        sys.stdout.flush()
    return answer


def _line(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items() if name != "answered")


async def _cancelled(found: list[Subject], origin: str) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for number, subject in enumerate(found):
        delays, done = await cancellation(subject, origin, count=20, name=f"cancel{number}x")
        answer[subject.name] = {"hung_up": done.answered, "failed": done.failed}
        if delays:
            answer[subject.name]["upstream_closed_ms"] = {
                "p50": round(results.percentile(delays, 0.5) / 1e6, 1),
                "p99": round(results.percentile(delays, 0.99) / 1e6, 1),
            }
        sys.stdout.write(f"{'cancellation':18} {subject.name:12} {_line(answer[subject.name])}\n")
    return answer


def _memory(found: list[Subject]) -> dict[str, Any]:
    return {
        subject.name: {
            name: round(size / 2**20, 1) for name, size in memory_bytes(tree(subject.roots.values())).items()
        }
        for subject in found
    }


def _started(
    origin: str, folder: Path, names: frozenset[str], stack: ExitStack
) -> tuple[list[Subject], dict[str, str]]:
    """Start what is to be measured; return it, and why the others are absent."""
    found, absent = [subjects.direct(origin)] if "direct" in names else [], dict[str, str]()
    for name in filter(names.__contains__, subjects.PEERS):
        try:
            found.append(stack.enter_context(subjects.peer(name, origin, folder / name)))
        except NotInstallable as error:
            absent[name] = str(error)
            sys.stdout.write(f"{name}: not measured: {error}\n")
    if "product" in names:
        found.append(stack.enter_context(subjects.product(origin, folder / "product")))
    return found, absent


def main(arguments: Sequence[str]) -> int:
    """Run the bench; returns 1 when a request of this product failed."""
    options = _options(arguments)
    subjects.stop_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-manager-bench-")))
        origin = stack.enter_context(subjects.upstream())
        found, absent = _started(origin, folder, options.subjects, stack)
        started = [subject for subject in found if subject.roots]
        idle = _memory(started)
        document: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": results.commit(),
            "machine": results.machine(),
            "rounds": options.rounds,
            "seconds": options.seconds,
            "versions": {subject.name: subject.version for subject in found},
            "absent": absent,
            "start_seconds": {s.name: round(s.start_seconds, 2) for s in started if s.start_seconds is not None},
            "idle_cpu_ms_per_second": {s.name: round(uvloop.run(idle_cpu(s, _IDLE_SECONDS)), 1) for s in started},
            "cases": uvloop.run(_measured(found, _chosen(options.cases), options)),
            "cancellation": {} if options.cases else uvloop.run(_cancelled(found, origin)),
            "memory_mib": {"idle": idle, "after": _memory(started)},
        }
    for name in ("memory_mib", "start_seconds", "idle_cpu_ms_per_second"):
        sys.stdout.write(f"{name} {document[name]}\n")
    if not options.no_file:
        sys.stdout.write(f"wrote {results.write(document).relative_to(results.ROOT)}\n")
        table.write(document)
    return int(any(figures.get(subjects.OURS, {}).get("failed") for figures in document["cases"].values()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
