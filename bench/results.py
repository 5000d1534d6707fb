"""Figures of a run, and the file that keeps them."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cases import Window, cpu_micros
from bench.subjects import ROOT

RESULTS = ROOT / "bench" / "results"
Figures = dict[str, Any]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _milliseconds(values: Sequence[int]) -> dict[str, float]:
    """p50 and p99 of nanoseconds, in milliseconds."""
    return {name: round(percentile(values, share) / 1e6, 3) for name, share in (("p50", 0.5), ("p99", 0.99))}


def figures(windows: list[Window], per: str) -> Figures:
    """Sum up the windows of one case and subject."""
    loads = [w.load for w in windows]
    answered, seconds = sum(done.answered for done in loads), sum(done.seconds for done in loads)
    found: Figures = {"answered": answered, "failed": sum(done.failed for done in loads)}
    if failure := next((done.failure for done in loads if done.failure), ""):
        found["failure"] = failure
    if not answered:
        return found
    found["per_second"] = round(answered / seconds, 1)
    found["latency_ms"] = _milliseconds([value for done in loads for value in done.latencies])
    if delays := [value for done in loads for value in done.chunk_delays]:
        found["chunks"] = len(delays)
        found["first_chunk_ms"] = _milliseconds([value for done in loads for value in done.first_chunks])
        found["chunk_delay_ms"] = _milliseconds(delays)
    if cpu := cpu_micros(windows, per):
        found[f"cpu_us_per_{per}"] = {part: round(value, 1) for part, value in cpu.items()}
    return found


def machine() -> dict[str, object]:
    """What the run ran on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {"cores": os.cpu_count(), "cpu": model, "kernel": platform.release(), "python": platform.python_version()}


def commit() -> str:
    """Return the checkout's commit, with `-dirty` when files differ from it."""
    program = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(program, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write(document: Figures) -> Path:
    """Keep the results of a run; return where."""
    RESULTS.mkdir(exist_ok=True)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    path = RESULTS / f"{day}-{str(document['commit']).removesuffix('-dirty')}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def newest() -> Figures:
    """Return the latest full run.

    Raises:
        FileNotFoundError: there is none yet; `make bench` writes one.
    """
    runs = [json.loads(path.read_text()) for path in RESULTS.glob("*.json")]
    if not runs:
        raise FileNotFoundError(f"no results in {RESULTS.relative_to(ROOT)}; run `make bench`")
    return max(runs, key=lambda run: str(run["at"]))
