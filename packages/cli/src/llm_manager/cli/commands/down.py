"""`llm-manager down`: drain and stop what runs in a data directory."""

from __future__ import annotations

import signal
import time

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.stack import processes, state
from llm_manager.cli.stack.plan import NATS

# Four children, each with its drain of 20 s and 5 s more (plan.py), and one second for the supervisor.
_DRAIN_SECONDS = 101.0


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
    stopped = [name for name, child in running.children.items() if processes.is_alive(child.process)]
    if processes.is_alive(running.supervisor):
        stopped.append("supervisor")
        _stop_supervisor(data, running, kill=kill)
    # what is left when the supervisor was killed; the bus last
    latest = state.read(data) or running
    children = {name: child.process for name, child in latest.children.items()}
    bus = children.pop(NATS, None)
    processes.end(children.values(), grace_seconds=0.0 if kill else 25.0)
    processes.end([bus] if bus else [], grace_seconds=0.0 if kill else 10.0)
    if not state.is_held(data):
        state.clear(data)
    return stopped


def _stop_supervisor(data: DataDir, running: state.RunState, *, kill: bool) -> None:
    processes.send(running.supervisor, signal.SIGTERM)
    if kill:
        # the second signal makes it kill its children; the pause lets it see two signals, not one
        time.sleep(0.2)
        processes.send(running.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + (10.0 if kill else _DRAIN_SECONDS)
    while state.is_held(data) and processes.is_alive(running.supervisor):
        if time.monotonic() > deadline:
            processes.send(running.supervisor, signal.SIGKILL)
            return
        time.sleep(0.05)
