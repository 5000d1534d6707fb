"""`llm-manager apps`: client applications, each with keys of its own."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table

apps_app = typer.Typer(help="Make, list and change apps.", no_args_is_help=True)
_COLUMNS = ("id", "name", "state", "description", "created")
_App = Annotated[str, typer.Argument(help="Name or id of the app.")]
_Description = Annotated[str | None, typer.Option("--description", help="What the app is for.")]


@apps_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the app is called.")],
    *,
    description: _Description = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make an app; `keys create --app` makes keys for it."""
    data = locate(data_dir)
    body = {"name": name, "description": description or ""}
    made = gateway.admin(data, "POST", "/apps", address=gateway.find(data, explicit=url), json=body)
    _show(made, as_json=as_json, text=f"Made {name!r} with the id {made['id']}.")


@apps_app.command("list")
def list_apps(
    *,
    search: Annotated[str, typer.Option("--search", help="Part of a name.")] = "",
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """List the apps by name."""
    data = locate(data_dir)
    query = {"search": search} if search else {}
    rows = list(gateway.pages(data, "/apps", address=gateway.find(data, explicit=url), **query))
    if as_json:
        print_json({"data": rows})
        return
    print_table(_COLUMNS, [_row(row) for row in rows])


@apps_app.command("change")
def change(
    app: _App,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    description: _Description = None,
    on: Annotated[
        bool | None, typer.Option("--on/--off", show_default="as it is", help="Whether its keys open the door.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change an app; one that is off is refused within a second, with all its keys."""
    said = {"name": name, "description": description, "is_enabled": on}
    body = {field: value for field, value in said.items() if value is not None}
    if not body:
        raise CommandError("Say what to change: --name, --description, --on or --off.", exit_code=ExitCode.USAGE)
    data = locate(data_dir)
    address = gateway.find(data, explicit=url)
    changed = gateway.admin(data, "PATCH", f"/apps/{quote(app, safe='')}", address=address, json=body)
    _show(changed, as_json=as_json, text=f"{changed['name']!r} is {_state(changed)}.")


# Any: rows of the admin API
def _show(row: dict[str, Any], *, as_json: bool, text: str) -> None:
    if as_json:
        print_json(row)
    else:
        print(text)


def _row(app: dict[str, Any]) -> list[object]:
    return [app["id"], app["name"], _state(app), app["description"], app["created_at"]]


def _state(app: dict[str, Any]) -> str:
    return "on" if app["is_enabled"] else "off"
