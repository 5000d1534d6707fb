"""`llm-manager serve <service>`: one service in this process, the same on a laptop and in a container."""

from __future__ import annotations

import os
import sys
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
    return int(point.load()() or 0)


def main() -> int:
    """Run `python -m llm_manager.cli.commands.serve <service>`, as the supervisor does."""
    try:
        return run(sys.argv[1])
    except CommandError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
