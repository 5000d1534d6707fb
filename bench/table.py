"""The tables of docs/benchmarks.md, from the newest results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.subjects import OURS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
MARK = "<!-- written by `make bench`; everything below is -->\n"
_CPU_CASES = {
    "plain_c16": "plain, 16 connections",
    "plain_c64": "plain, 64 connections",
    "plain_c256": "plain, 256 connections",
    "embeddings_c16": "embeddings of 1,536 numbers",
    "body_32k_c16": "prompts of 32 KB",
    "body_100k_c16": "prompts of 100 KB",
    "chunks": "a chunk, 32 streams, each 100 chunks/s",
    "chunks_at_once": "a chunk, 32 streams, as fast as they go",
}
_PER_SECOND = {f"plain_c{n}": f"{n} connections" for n in (1, 16, 64, 256)}
_OPEN = {f"open_{rate}": f"{rate} requests/s" for rate in (20, 50, 100, 200)}
_SLOW = {f"slow_streams_{n}": f"{n} streams, 2 chunks/s each" for n in (200, 500, 1000)}
Figures = dict[str, Any]


def write(document: Figures) -> None:
    """Put the tables of a run on the page."""
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(MARK) + len(MARK)] + rendered(document))


def rendered(document: Figures) -> str:
    """Return the tables as Markdown."""
    names = [name for name in document["versions"] if name != "direct"]
    versions = ", ".join(f"{name} {document['versions'][name]}".strip() for name in names)
    lines = [
        "",
        f"Run of {document['at']} on commit {document['commit']}: {versions}. Python {document['machine']['python']}, "
        f"{document['machine']['cores']} cores ({document['machine']['cpu']}), {document['rounds']} window(s) of "
        f"{document['seconds']:g} s each.",
        *(f"\n{name} was not measured: {reason}." for name, reason in document["absent"].items()),
    ]
    lines += _table(document, "CPU of all processes, microseconds", _CPU_CASES, _cpu)
    lines += _table(document, "Requests a second", _PER_SECOND, lambda figures: f"{figures['per_second']:,.0f}")
    lines += _table(document, "Latency of a whole answer, p50 and p99 in ms", _OPEN, _milliseconds("latency_ms"))
    first = {"first_chunk": "first chunk, 50 streams/s"}
    lines += _table(document, "First chunk, p50 and p99 in ms", first, _milliseconds("first_chunk_ms"))
    lines += _table(document, "Delay of a chunk, p50 and p99 in ms", _SLOW, _milliseconds("chunk_delay_ms"))
    lines += _of_subjects(document, names)
    return "\n".join(lines) + "\n"


def _table(document: Figures, title: str, cases: dict[str, str], cell: Callable[[Figures], str]) -> list[str]:
    names = list(document["versions"])
    rows = [
        f"| {words} | {' | '.join(_cell(document['cases'][case].get(name), cell) for name in names)} |"
        for case, words in cases.items()
        if case in document["cases"]
    ]
    return ["", f"| {title} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|", *rows]


def _cell(figures: Figures | None, cell: Callable[[Figures], str]) -> str:
    if not figures or not figures["answered"]:
        return "all failed"
    failed = f" ({figures['failed']} failed)" if figures["failed"] else ""
    return cell(figures) + failed


def _cpu(figures: Figures) -> str:
    spent = figures.get("cpu_us_per_answer") or figures.get("cpu_us_per_chunk")
    return f"{spent['total']:,.0f}" if spent else ""


def _milliseconds(name: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[name]['p50']:.1f} / {figures[name]['p99']:.1f}"


def _of_subjects(document: Figures, names: list[str]) -> list[str]:
    memory = document["memory_mib"]
    rows = {
        "memory when idle, MiB": {name: memory["idle"].get(name, {}).get("proportional") for name in names},
        "memory behind the loads, MiB": {name: memory["after"].get(name, {}).get("proportional") for name in names},
        "CPU when idle, ms a second": document["idle_cpu_ms_per_second"],
        "start, seconds": document["start_seconds"],
        "a reader hangs up: ms until the upstream is told, p99": {
            name: figures.get("upstream_closed_ms", {}).get("p99") for name, figures in document["cancellation"].items()
        },
    }
    return [
        *("", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"),
        *(f"| {words} | {' | '.join(_shown(row.get(name)) for name in names)} |" for words, row in rows.items()),
        *_parts(document),
    ]


def _parts(document: Figures) -> list[str]:
    """Our CPU by process: where a next step would pay."""
    cases = {case: figures for case in _CPU_CASES if (figures := document["cases"].get(case, {}).get(OURS))}
    spent = {case: figures.get("cpu_us_per_answer") or figures["cpu_us_per_chunk"] for case, figures in cases.items()}
    if not spent:
        return []
    parts = [part for part in next(iter(spent.values())) if part != "total"]
    return [
        *("", f"| {OURS} by process, microseconds | {' | '.join(parts)} |", "|---" * (len(parts) + 1) + "|"),
        *(f"| {_CPU_CASES[case]} | {_joined([row[part] for part in parts])} |" for case, row in spent.items()),
    ]


def _joined(values: Sequence[float]) -> str:
    return " | ".join(f"{value:,.0f}" for value in values)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:,.1f}"
