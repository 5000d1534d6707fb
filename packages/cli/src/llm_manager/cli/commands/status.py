"""`llm-manager status`: what runs, where, since how many restarts, and whether it is ready now."""

from __future__ import annotations

import asyncio
from typing import Any

from llm_manager.cli.data_dir import DataDir
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.stack import health, state


def status(data: DataDir) -> dict[str, Any]:
    """Return the state of the stack.

    Raises:
        CommandError: it does not run (exit code 3).
    """
    running = state.read(data)
    if running is None or not state.is_held(data):
        raise CommandError(
            f"LLM Manager does not run in {data.path}. Start it with 'llm-manager up' (or 'make up').",
            exit_code=ExitCode.NOT_RUNNING,
        )
    replies = asyncio.run(health.ask(running))
    services = {
        name: {
            "pid": child.pid,
            "is_ready": replies[name].why_not_ready is None,
            "why_not_ready": replies[name].why_not_ready or "",
            "restarts": child.restarts,
            "log": str(data.logs / f"{name}.log"),
            "ops_url": child.ops_url,
        }
        for name, child in running.children.items()
    }
    return {
        "phase": running.phase,
        "is_ready": running.phase == "ready" and all(service["is_ready"] for service in services.values()),
        "base_url": running.base_url,
        "grpc": running.grpc,
        "nats": running.nats_url,
        "data_dir": str(data.path),
        "services": services,
        "pids": {"supervisor": running.pid, **{name: child.pid for name, child in running.children.items()}},
    }


def is_running(data: DataDir) -> bool:
    """Tell whether a supervisor runs in the data directory, ready or not."""
    return state.is_held(data)
