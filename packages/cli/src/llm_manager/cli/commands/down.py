"""`llm-manager down`: drain and stop what runs in a data directory."""

from __future__ import annotations

import signal
import time

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.stack import leftovers, processes, state


def down(data: DataDir, *, kill: bool = False) -> list[str]:
    """Stop everything; return the names of what was stopped, in no order. Idempotent: nothing running is no failure.

    Args:
        kill: do not wait for work in flight.
    """
    running = state.read(data)
    if running is None:
        if state.is_held(data):
            raise CommandError("It is just starting; try again in a second.")
        return []
    stopped = leftovers.alive(running)
    if processes.is_alive(running.supervisor):
        stopped.append("supervisor")
        _stop_supervisor(data, running, kill=kill)
    # what is left when the supervisor was killed
    latest = state.read(data) or running
    if kill:
        leftovers.kill(latest)
    else:
        leftovers.let_drain(latest)
    if not state.is_held(data):
        state.clear(data)
    return stopped


def _stop_supervisor(data: DataDir, running: state.RunState, *, kill: bool) -> None:
    processes.send(running.supervisor, signal.SIGQUIT if kill else signal.SIGTERM)
    deadline = time.monotonic() + (10.0 if kill else _drain_seconds(running))
    while state.is_held(data) and processes.is_alive(running.supervisor):
        if time.monotonic() > deadline:
            processes.send(running.supervisor, signal.SIGKILL)
            return
        time.sleep(0.05)


def _drain_seconds(running: state.RunState) -> float:
    """The children are stopped one after the other, each with its own limit; one second for the supervisor."""
    return sum(child.drain_seconds for child in running.children.values()) + 1.0
