"""What services bring to the command line by entry points, so that the command imports no service."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import plan, state

OPENAPI_GROUP = "llm_manager.openapi"
MIGRATIONS_GROUP = "llm_manager.migrations"


def openapi(service: str = "gateway") -> dict[str, Any]:
    """Return the OpenAPI document of a service.

    Raises:
        CommandError: the service is not installed.
    """
    for point in entry_points(group=OPENAPI_GROUP, name=service):
        document: dict[str, Any] = point.load()()
        return document
    raise CommandError(f"The service {service!r} with its OpenAPI document is not installed: run 'make setup'.")


def migrate(data: DataDir) -> list[str]:
    """Bring the schema of every installed service to its newest version; return the services. Idempotent.

    Databases are those that the environment names, else those of the data directory.

    Raises:
        CommandError: the product runs there, or a migration failed; what it had done of its step is rolled back where
            the database can.
    """
    if state.is_held(data):
        raise CommandError(
            f"LLM Manager runs in {data.path}; its services migrated when they started. "
            "To migrate before a start, run 'llm-manager down' first.",
            exit_code=ExitCode.BUSY,
        )
    data.prepare()
    for service in plan.SERVICES:
        os.environ.update(plan.own_settings(data, service, os.environ))
    done: list[str] = []
    for point in sorted(entry_points(group=MIGRATIONS_GROUP), key=lambda point: point.name):
        code = int(point.load()() or 0)
        if code:
            raise CommandError(f"The migration of {point.name} ended with exit code {code}; its last lines say why.")
        done.append(point.name)
    return done
