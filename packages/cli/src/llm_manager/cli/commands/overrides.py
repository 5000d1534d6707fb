"""`llm-manager overrides`: parameters that the calls of an app get unless they say them themselves."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from llm_manager.cli.options import (
    DataDirOption,
    DescriptionOption,
    JsonOption,
    OnOption,
    SearchOption,
    UrlOption,
    one_resource,
)
from llm_manager.cli.values import change as changed_fields
from llm_manager.cli.values import cleared, json_pairs, present, wrong

from .admin_calls import Row, admin_at, show, show_fields, show_list, state_of


class Strategy(StrEnum):
    """What becomes of the parameters before."""

    REPLACE = "replace"
    MERGE = "merge"
    DEEP_MERGE = "deep_merge"


class Sort(StrEnum):
    """What `overrides list` sorts by; `-` for the other direction."""

    NAME = "name"
    NAME_REVERSED = "-name"
    CREATED = "created"
    CREATED_REVERSED = "-created"


overrides_app = typer.Typer(help="Set parameters for the calls of an app.", no_args_is_help=True)
_COLUMNS = ("id", "name", "app", "model", "context", "strategy", "priority", "parameters", "state")
_CLEARABLE = {
    "description": "description", "context": "context", "model": "configuration", "parameters": "parameters",
}  # fmt: skip
_FURTHEST = 1_000_000
# two apps may each have one of the same name
_Override = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the override, as `overrides list` shows it.", callback=one_resource)
]
_Model = Annotated[
    str | None, typer.Option("--model", help="Name or id of the one model that it is for; without, all.")
]
_Context = Annotated[
    str | None,
    typer.Option("--context", help="Only calls that say `x-llm-manager-context: <context>`; without, every call."),
]
_Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=JSON",
        help="What calls get unless they say otherwise: temperature=0.2. Repeatable; a change says them all.",
    ),
]
_PRIORITY = typer.Option("--priority", min=-_FURTHEST, max=_FURTHEST, help="Higher ones are merged later.")
_STRATEGY = typer.Option(
    "--strategy",
    help="What becomes of the parameters before: replace forgets them, merge sets its own beside them, deep_merge "
    "does so inside of objects too.",
)


@overrides_app.command("list")
def list_overrides(
    *,
    search: SearchOption = "",
    app: Annotated[str, typer.Option("--app", show_default="all", help="Name or id of the app they are of.")] = "",
    on: Annotated[
        bool | None, typer.Option("--on/--off", show_default="both", help="Only those that are used, or are not.")
    ] = None,
    sort: Annotated[Sort, typer.Option("--sort", help="What to sort by; `-` for the other direction.")] = Sort.NAME,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """List the overrides by name, with their ids."""
    calls = admin_at(url, data_dir).overrides
    rows = list(calls.each(search=search or None, app=app or None, is_enabled=on, sort=sort.value))
    show_list(rows, _COLUMNS, [_cells(row) for row in rows], as_json=as_json)


@overrides_app.command("show")
def show_override(
    override: _Override, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Show an override with all that is known about it."""
    row = admin_at(url, data_dir).overrides.get(override)
    fields = {
        **dict(zip(_COLUMNS, _cells(row), strict=True)),
        "description": row["description"],
        "created": row["created_at"],
    }
    show_fields(row, fields, as_json=as_json)


@overrides_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the override is called; an app has one of each name.")],
    *,
    app: Annotated[str, typer.Option("--app", help="Name or id of the app whose calls get it.")],
    parameter: _Parameters = None,
    model: _Model = None,
    context: _Context = None,
    strategy: Annotated[Strategy, _STRATEGY] = Strategy.MERGE,
    priority: Annotated[int, _PRIORITY] = 0,
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make an override; the next call of the app gets its parameters, unless it says them itself."""
    parameters = json_pairs("--parameter", parameter)
    if not parameters and strategy is not Strategy.REPLACE:
        raise wrong(
            "Say what calls get, such as --parameter temperature=0.2; only --strategy replace may do without: calls "
            "then get none of the parameters before."
        )
    said = {"configuration": model, "context": context, "description": description, "is_enabled": on}
    said |= {"strategy": strategy, "priority": priority}
    made = admin_at(url, data_dir).overrides.create(name=name, app=app, parameters=parameters, **present(said))
    show(made, as_json=as_json, text=f"Made {made['name']!r} with the id {made['id']}; it is {state_of(made)}.")


@overrides_app.command("change")
def change(
    override: _Override,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    parameter: _Parameters = None,
    model: _Model = None,
    context: _Context = None,
    strategy: Annotated[Strategy | None, _STRATEGY] = None,
    priority: Annotated[int | None, _PRIORITY] = None,
    description: DescriptionOption = None,
    on: OnOption = None,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help=f"{', '.join(_CLEARABLE)}. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change an override; the next call obeys. Its app stays: make another one for another app."""
    said = {
        "name": name,
        "configuration": model,
        "context": context,
        "parameters": json_pairs("--parameter", parameter) or None,
        "strategy": strategy,
        "priority": priority,
        "description": description,
        "is_enabled": on,
    }
    body = changed_fields(said, cleared(clear, _CLEARABLE), flags=("--parameter", "--priority", "--on", "--off"))
    if "parameters" in body:
        # the gateway takes no null for them
        body["parameters"] = body["parameters"] or {}
    row = admin_at(url, data_dir).overrides.change(override, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} of {row['app']!r} is {state_of(row)}.")


@overrides_app.command("remove")
def remove(
    override: _Override, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove an override; the next call of its app obeys."""
    admin_at(url, data_dir).overrides.delete(override)
    show({"id": override, "removed": True}, as_json=as_json, text=f"Removed {override}.")


def _cells(row: Row) -> list[object]:
    parameters = json.dumps(row["parameters"], ensure_ascii=False)
    of = [row["id"], row["name"], row["app"], row["configuration"] or "all", row["context"] or "any"]
    return [*of, row["strategy"], row["priority"], parameters, state_of(row)]
