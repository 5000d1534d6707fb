"""`llm-manager serve <service>`: one service in this process, the same on a laptop and in a container."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import cast

from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import lifeline
from llm_manager.cli.stack.plan import drain_seconds

GROUP = "llm_manager.services"
# Libraries import these where they find them, for what no service has: nats-py websockets, structlog coloured
# tracebacks. Without them the three services hold 25 MB less (2026-11).
_UNUSED = ("aiohttp", "pygments", "rich")


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
        with _absent(*_UNUSED):
            return point.load()
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _absent(*modules: str) -> Generator[None]:
    """Let imports of these modules fail as if they were not installed, unless they are here already."""
    hidden = {name: None for name in modules if name not in sys.modules}
    # Python's own way to say so: docs.python.org/3/reference/import.html#the-module-cache
    sys.modules.update(cast("dict[str, ModuleType]", hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def main() -> int:
    """Run `python -m llm_manager.cli.commands.serve <service>`, as the supervisor does."""
    try:
        return run(sys.argv[1])
    except CommandError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
