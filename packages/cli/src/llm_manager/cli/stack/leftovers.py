"""What a supervisor that was killed leaves behind: services that drain by themselves, and the bus that they need.

Each service saw the lifeline close and asked itself to stop (lifeline.py); the guard stops the bus after the last of
them (guard.py). So nobody is asked again here: they are waited for.
"""

from __future__ import annotations

from . import lifeline, processes
from .plan import NATS
from .state import RunState

_BUS_GRACE_SECONDS = 10.0
# between the end of a supervisor and the moment at which a service on a busy machine has seen it
_MARGIN_SECONDS = 5.0


def alive(run: RunState) -> list[str]:
    """Return the names of the children of a run that still live."""
    return [name for name, child in run.children.items() if processes.is_alive(child.process)]


def let_drain(run: RunState) -> list[str]:
    """Wait until the services of a run have drained, then stop the bus; return the names of what had to be killed."""
    services = {name: child for name, child in run.children.items() if name != NATS}
    seconds = max((lifeline.hard_limit(child.drain_seconds) for child in services.values()), default=0.0)
    late = processes.await_end((child.process for child in services.values()), within_seconds=seconds + _MARGIN_SECONDS)
    _end_bus(run, grace_seconds=_BUS_GRACE_SECONDS)
    return [name for name, child in services.items() if child.process in late]


def kill(run: RunState) -> None:
    """End the children of a run at once, the bus last."""
    processes.end((child.process for name, child in run.children.items() if name != NATS), grace_seconds=0.0)
    _end_bus(run, grace_seconds=0.0)


def _end_bus(run: RunState, *, grace_seconds: float) -> None:
    bus = run.children.get(NATS)
    processes.end([bus.process] if bus else [], grace_seconds=grace_seconds)
