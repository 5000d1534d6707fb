"""`llm-manager audit`: what was done to the control plane, and by whom."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table

from .admin_calls import Row, admin_at

audit_app = typer.Typer(help="See what was changed, by whom, and prove that nothing is missing.", no_args_is_help=True)
_COLUMNS = ("number", "time", "who", "did", "what", "before", "after")
_LONGEST_STATE = 200


@audit_app.command("list")
def list_entries(
    *,
    resource: Annotated[str, typer.Option("--resource", help="Only these: apps, keys, providers …")] = "",
    actor: Annotated[str, typer.Option("--by", help="Only what this person or program did.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at the most.")] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """List what was done, newest first."""
    answer = admin_at(url, data_dir).audit.list(resource=resource or None, actor=actor or None, limit=limit)
    if as_json:
        print_json(answer)
        return
    print_table(_COLUMNS, [_row(entry) for entry in answer["data"]], right=frozenset({"number"}))


@audit_app.command("prove")
def prove(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Follow the chain of entries; ends with an error where one was changed, put in or taken out."""
    proof = admin_at(url, data_dir).audit.proof()
    if as_json:
        print_json(proof)
    if not proof["is_whole"]:
        raise CommandError(f"The audit was changed: entry {proof['broken_at']} is not as it was written.")
    if not as_json:
        print(f"The audit is whole: {proof['entries']} entries.")


def _row(entry: Row) -> list[object]:
    what = f"{entry['resource']} {entry['resource_id']}"
    states = [_brief(entry[name]) for name in ("before", "after")]
    return [entry["sequence"], entry["at"], entry["actor_name"], entry["action"], what, *states]


def _brief(state: Row | None) -> str:
    text = "" if state is None else json.dumps(state, ensure_ascii=False)
    # all of it is in --json
    return text if len(text) <= _LONGEST_STATE else f"{text[: _LONGEST_STATE - 1]}…"
