"""`llm-manager aliases`: further names of models."""

from __future__ import annotations

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
from llm_manager.cli.values import cleared, present

from .admin_calls import admin_at, show, show_list, state_of

aliases_app = typer.Typer(help="Give models further names.", no_args_is_help=True)
_COLUMNS = ("name", "model", "state", "description")
_CLEARABLE = {"description": "description"}
_Alias = Annotated[str, typer.Argument(help="Name or id of the alias.", callback=one_resource)]


@aliases_app.command("list")
def list_aliases(
    *, search: SearchOption = "", as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the aliases by name."""
    rows = list(admin_at(url, data_dir).aliases.each(search=search or None))
    cells = [(row["name"], row["configuration"], state_of(row), row["description"]) for row in rows]
    show_list(rows, _COLUMNS, cells, as_json=as_json)


@aliases_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What clients write in `model`.")],
    *,
    model: Annotated[str, typer.Option("--model", help="Name or id of the model that it stands for.")],
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make an alias; the next request may name it."""
    said = present({"description": description, "is_enabled": on})
    made = admin_at(url, data_dir).aliases.create(name=name, configuration=model, **said)
    show(made, as_json=as_json, text=f"Made {made['name']!r}; it stands for {made['configuration']!r}.")


@aliases_app.command("change")
def change(
    alias: _Alias,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another model that it stands for.")] = None,
    description: DescriptionOption = None,
    on: OnOption = None,
    clear: Annotated[list[str] | None, typer.Option("--clear", metavar="FIELD", help="description.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change an alias; the next request obeys."""
    said = {"name": name, "configuration": model, "description": description, "is_enabled": on}
    body = changed_fields(said, cleared(clear, _CLEARABLE), flags=("--model", "--name", "--description", "--on"))
    row = admin_at(url, data_dir).aliases.change(alias, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} stands for {row['configuration']!r} and is {state_of(row)}.")


@aliases_app.command("remove")
def remove(
    alias: _Alias, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove an alias; the ledger keeps its name."""
    admin_at(url, data_dir).aliases.delete(alias)
    show({"name": alias, "removed": True}, as_json=as_json, text=f"Removed {alias}.")
