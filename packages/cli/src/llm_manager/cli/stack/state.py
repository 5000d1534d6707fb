"""What runs in a data directory: written by the supervisor, read by every other command."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from llm_manager.cli.data_dir import DataDir, write_private

from .processes import Process

Phase = Literal["starting", "ready", "stopping"]


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child: which process it is now, how often it was started again, whether it is ready.

    Args:
        drain_seconds: from its being asked to stop until it is certain to be gone.
        ops_url: where /healthz, /readyz and /metrics answer; empty for a child without them.
        why_not_ready: in the child's own words where it answered; empty when it is ready.
    """

    pid: int
    started: str
    restarts: int
    is_ready: bool
    ops_url: str = ""
    drain_seconds: float = 25.0
    why_not_ready: str = ""

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)


@dataclass(frozen=True, slots=True)
class RunState:
    """One run of the stack.

    Args:
        variables: digests of what it was started with (variables.py); None where a version did not keep them.
    """

    phase: Phase
    pid: int
    started: str
    base_url: str
    grpc: str
    nats_url: str
    children: Mapping[str, ChildState] = field(default_factory=dict[str, ChildState])
    variables: Mapping[str, str] | None = None

    @property
    def supervisor(self) -> Process:
        return Process(self.pid, self.started)


def write(data: DataDir, state: RunState) -> None:
    """Replace the state of the data directory."""
    write_private(_state_file(data), json.dumps(asdict(state), indent=1) + "\n")


def read(data: DataDir) -> RunState | None:
    """Return the last state that was written, or None. It may be that of a run that is over: see `is_held`."""
    try:
        raw: dict[str, Any] = json.loads(_state_file(data).read_text())
        children = {name: ChildState(**child) for name, child in raw.pop("children").items()}
        return RunState(**raw, children=children)
    except (OSError, ValueError, TypeError, KeyError):
        # Half a state cannot happen (it is replaced whole); one of another version says nothing to this one.
        return None


def clear(data: DataDir) -> None:
    """Forget the state: everything it named has ended."""
    _state_file(data).unlink(missing_ok=True)


class RunLock:
    """Held by the one supervisor of a data directory; given back by the system when it ends, however it ends."""

    def __init__(self, data: DataDir) -> None:
        self._file = _lock_file(data)
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; return False when another process holds it."""
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(data: DataDir) -> bool:
    """Tell whether a supervisor runs in the data directory."""
    if not _lock_file(data).exists():
        return False
    lock = RunLock(data)
    free = lock.acquire()
    lock.release()
    return not free


def _state_file(data: DataDir) -> Path:
    return data.run / "state.json"


def _lock_file(data: DataDir) -> Path:
    return data.run / "lock"
