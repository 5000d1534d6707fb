"""`llm-manager serve <service>`: one service in this process, the same on a laptop and in a container."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import lifeline
from llm_manager.cli.stack.plan import drain_seconds

GROUP = "llm_manager.services"


def names() -> list[str]:
    """Return the services that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find(service: str) -> EntryPoint:
    """Return the entry point of a service.

    Raises:
        CommandError: no installed package brings this service.
    """
    for point in entry_points(group=GROUP, name=service):
        return point
    known = ", ".join(names()) or "none"
    raise CommandError(
        f"There is no service {service!r} here; installed: {known}. 'make setup' installs all of them.",
        exit_code=ExitCode.USAGE,
    )


def run(service: str) -> int:
    """Serve until SIGTERM; return the exit code of the service."""
    point = find(service)
    # before the service is loaded: a supervisor that is killed meanwhile must not leave this process behind
    lifeline.watch(os.environ, hard_limit_seconds=lifeline.hard_limit(drain_seconds(service, os.environ)))
    return int(_load(point)() or 0)


def _load(point: EntryPoint) -> Callable[[], int | None]:
    """Import a service with the collector at rest: modules live as long as the process.

    It would look through them again and again while they grow (0.2 of the gateway's 1.1 s of CPU, 2026-11), and once
    more at every full collection.
    """
    gc.disable()
    try:
        return point.load()
    finally:
        gc.freeze()
        gc.enable()


def main() -> int:
    """Run `python -m llm_manager.cli.commands.serve <service>`, as the supervisor does."""
    try:
        return run(sys.argv[1])
    except CommandError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
