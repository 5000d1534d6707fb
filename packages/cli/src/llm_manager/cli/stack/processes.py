"""Processes that are told apart from later ones with the same number."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A process id and what its start looked like; the pair never comes again."""

    pid: int
    started: str


def identify(pid: int) -> Process | None:
    """Return the process of this id, or None when there is none or only its zombie."""
    if sys.platform == "linux":
        started = _start_on_linux(pid)
    else:
        started = _start_elsewhere(pid)
    return None if started is None else Process(pid, started)


def is_alive(process: Process) -> bool:
    """Tell whether this very process, not a later one of the same number, still runs."""
    return identify(process.pid) == process


def end(processes: Iterable[Process], *, grace_seconds: float) -> list[Process]:
    """Ask processes to stop, wait, kill what is left; return what had to be killed."""
    left = [process for process in processes if is_alive(process)]
    for process in left:
        send(process, signal.SIGTERM)
    left = _wait(left, grace_seconds)
    for process in left:
        send(process, signal.SIGKILL)
    _wait(left, 5.0)
    return left


def await_end(processes: Iterable[Process], *, within_seconds: float) -> list[Process]:
    """Wait for processes that are ending by themselves, kill what is left; return what had to be killed.

    Nothing is asked to stop: to a service that drains already, a second SIGTERM means "at once".
    """
    left = _wait(list(processes), within_seconds)
    for process in left:
        send(process, signal.SIGKILL)
    _wait(left, 5.0)
    return left


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to this very process; do nothing when it is gone."""
    if is_alive(process):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _wait(processes: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [process for process in left if is_alive(process)]
    return left


def _start_on_linux(pid: int) -> str | None:
    # Ticks since boot instead of a time of day: a clock that is set must not make a process look like another.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{ticks}"


def _start_elsewhere(pid: int) -> str | None:
    import psutil  # 5 MB that Linux does not need

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None
