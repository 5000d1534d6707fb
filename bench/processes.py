"""CPU and memory of whole process trees, from /proc."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(roots: Iterable[int]) -> set[int]:
    """Return the processes and all their descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields behind the name: state, parent, …; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds(pids: Iterable[int]) -> Counter[int]:
    """Return user and system time by process; to a hundredth of a second, threads that have ended included."""
    spent: Counter[int] = Counter()
    for pid in pids:
        fields = _stat(pid)
        if fields is not None:
            spent[pid] = int(fields[11]) + int(fields[12])
    return spent


def difference(before: Counter[int], after: Counter[int]) -> dict[int, float]:
    """Return the seconds that each process spent between two looks; one that began meanwhile counts whole."""
    return {pid: (ticks - before.get(pid, 0)) / _TICKS for pid, ticks in after.items()}


def memory_bytes(pids: Iterable[int]) -> dict[str, int]:
    """Return resident and proportional memory of all together."""
    total = _rollup(pids)
    return {"resident": total["Rss"], "proportional": total["Pss"]}


def anonymous_bytes(pids: Iterable[int]) -> int:
    """Return the part of proportional memory that no file backs: what other processes map does not move it."""
    return _rollup(pids)["Pss_Anon"]


def _rollup(pids: Iterable[int]) -> Counter[str]:
    total: Counter[str] = Counter()
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for line in text.splitlines()[1:]:
            name, _, rest = line.partition(":")
            total[name] += int(rest.split()[0]) * 1024
    return total
