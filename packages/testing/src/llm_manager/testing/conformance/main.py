"""The command `llm-manager-conformance`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from llm_manager.core.errors import LlmManagerError
from llm_manager.kit.bus.connection import connect
from llm_manager.testing.conformance.checks import CHECKS
from llm_manager.testing.conformance.conversation import Conversation


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a running worker; returns 0 when it passes everything."""
    parser = argparse.ArgumentParser(prog="llm-manager-conformance", description="Check a worker on the bus.")
    parser.add_argument("--kind", required=True, help="provider kind, the last token of llm.v1.infer.<kind>")
    parser.add_argument("--model", default="conformance", help="a model that the worker serves")
    parser.add_argument("--nats-url", default="nats://127.0.0.1:4222")
    parser.add_argument("--nats-user", default="", help="user of the bus, where it has users: operator")
    parser.add_argument("--nats-token", default=None, help="the bus' token, or the user's password")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except LlmManagerError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2


async def _run(options: argparse.Namespace) -> int:
    failed = 0
    async with (
        connect(options.nats_url, name="conformance", user=options.nats_user, token=options.nats_token) as bus,
        Conversation(bus, options.kind, options.model).listening() as talk,
    ):
        for check in CHECKS:
            problems = await check(talk)
            failed += bool(problems)
            sys.stdout.write(f"{'failed' if problems else 'passed'}  {check.__name__.replace('_', ' ')}\n")
            sys.stdout.writelines(f"        {problem}\n" for problem in problems)
    sys.stdout.write(f"{len(CHECKS) - failed} of {len(CHECKS)} passed\n")
    return 1 if failed else 0
