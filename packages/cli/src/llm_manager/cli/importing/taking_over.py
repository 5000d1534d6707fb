"""The whole of an import: read the file, plan, write, and tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.importing.document import LARGEST_BYTES, ImportRefused, clip, parse
from llm_manager.cli.importing.litellm import plan_of
from llm_manager.cli.importing.plan import Plan
from llm_manager.cli.importing.report import Outcome
from llm_manager.cli.importing.writing import Result, Writing, Written
from llm_manager.cli.output import print_json, print_table
from llm_manager.core.facts import Facts, load_facts


def try_litellm(file: Path, *, as_json: bool) -> None:
    """Print what an import would do, and send nothing.

    Raises:
        CommandError: the file cannot be taken over.
    """
    _show(_plan(file, load_facts()), [], as_json=as_json, is_dry=True)


def take_over_litellm(file: Path, *, replaces: bool, as_json: bool, url: str | None, data_dir: Path | None) -> None:
    """Write what a config says, and print what became of each of its keys.

    Raises:
        CommandError: the file cannot be taken over, the gateway refused something, or something was left as it is.
    """
    facts = load_facts()
    plan = _plan(file, facts)
    data = locate(data_dir)
    writing = Writing(gateway.admin(data, gateway.find(data, explicit=url)), facts, replaces=replaces)
    try:
        writing.write(plan)
    except CommandError as error:
        message = _without_secrets(error.message, plan)
        _show(plan, writing.results, as_json=as_json, failure=message)
        raise CommandError(message, exit_code=error.exit_code) from None
    _show(plan, writing.results, as_json=as_json)
    conflicts = writing.counts()[Written.CONFLICT]
    if conflicts:
        raise CommandError(
            f"{conflicts} of the same name are others here and were left as they are; --replace changes them.",
            exit_code=ExitCode.FAILED,
        )


def _plan(file: Path, facts: Mapping[str, Facts]) -> Plan:
    try:
        return plan_of(parse(_content(file)), environ=os.environ, facts=facts)
    except ImportRefused as error:
        raise CommandError(f"{clip(file.name)}: {error}") from error


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            # one more than may be, so that the size need not be believed
            return opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise CommandError(
            f"{clip(file)} cannot be read: {error.strerror}. Name LiteLLM's config.yaml.", exit_code=ExitCode.USAGE
        ) from error


def _without_secrets(message: str, plan: Plan) -> str:
    """Take out of a refusal whatever was sent as a secret, should a gateway repeat it."""
    secrets = [provider.key for provider in plan.providers if provider.key is not None]
    secrets += [value for provider in plan.providers for value in provider.headers.values()]
    for secret in secrets:
        message = message.replace(secret.reveal(), "***") if len(secret.reveal()) > 3 else message
    return message


def _show(plan: Plan, results: list[Result], *, as_json: bool, is_dry: bool = False, failure: str = "") -> None:
    if as_json:
        print_json(
            {
                "is_dry_run": is_dry,
                "failure": failure or None,
                "counts": plan.report.counts(),
                "keys": plan.report.as_json(),
                "planned": _planned(plan),
                "written": [
                    {"resource": r.resource, "name": r.name, "outcome": r.written.value, "why": r.why} for r in results
                ],
            }
        )
        return
    for outcome in Outcome:
        rows = plan.report.rows(outcome)
        if rows:
            print(f"\n{outcome.value.capitalize()} ({plan.report.counts()[outcome.value]})\n")
            print_table(("key", "here"), rows)
    if is_dry:
        planned = _planned(plan)
        print("\nWould be made; nothing was sent\n")
        print_table(("what", "names"), [(what, ", ".join(map(clip, names)) or "-") for what, names in planned.items()])
    elif results:
        print("\nWritten\n")
        print_table(("what", "name", "outcome", "why"), [(r.resource, clip(r.name), r.written, r.why) for r in results])


def _planned(plan: Plan) -> dict[str, list[str]]:
    return {
        "providers": [provider.name for provider in plan.providers],
        "configurations": [configuration.name for configuration in plan.configurations],
        "aliases": [alias.name for alias in plan.aliases],
    }
