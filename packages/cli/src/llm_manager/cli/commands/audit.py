"""`llm-manager audit`: what was done to the control plane, and by whom."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table

audit_app = typer.Typer(help="See what was changed, by whom, and prove that nothing is missing.", no_args_is_help=True)
_COLUMNS = ("number", "time", "who", "did", "what", "before", "after")


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
    data = locate(data_dir)
    said = {"resource": resource, "actor": actor, "limit": limit}
    query = {name: value for name, value in said.items() if value}
    answer = gateway.admin(data, "GET", "/audit", address=gateway.find(data, explicit=url), params=query)
    if as_json:
        print_json(answer)
        return
    print_table(_COLUMNS, [_row(entry) for entry in answer["data"]], right=frozenset({"number"}))


@audit_app.command("prove")
def prove(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Follow the chain of entries; ends with an error where one was changed, put in or taken out."""
    data = locate(data_dir)
    proof = gateway.admin(data, "GET", "/audit/proof", address=gateway.find(data, explicit=url))
    if as_json:
        print_json(proof)
    if not proof["is_whole"]:
        raise CommandError(f"The audit was changed: entry {proof['broken_at']} is not as it was written.")
    if not as_json:
        print(f"The audit is whole: {proof['entries']} entries.")


# Any: an entry of the admin API
def _row(entry: dict[str, Any]) -> list[object]:
    what = f"{entry['resource']} {entry['resource_id']}"
    states = [_brief(entry[name]) for name in ("before", "after")]
    return [entry["sequence"], entry["at"], entry["actor_name"], entry["action"], what, *states]


def _brief(state: dict[str, Any] | None) -> str:
    return "" if state is None else json.dumps(state, ensure_ascii=False)
