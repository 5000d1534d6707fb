"""`llm-manager apps`: client applications, each with keys of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, JsonOption, SearchOption, UrlOption, one_resource
from llm_manager.cli.values import change as changed_fields
from llm_manager.cli.values import present, wrong

from .admin_calls import Row, admin_at, show, show_list, state_of

apps_app = typer.Typer(help="Make, list and change apps.", no_args_is_help=True)
_COLUMNS = ("id", "name", "state", "models", "description", "created")
_App = Annotated[str, typer.Argument(help="Name or id of the app.", callback=one_resource)]
_Description = Annotated[str | None, typer.Option("--description", help="What the app is for.")]
_AllowModel = Annotated[
    list[str] | None,
    typer.Option("--allow-model", help="Model it may ask for; `*` at an end. Repeatable; a change says them all."),
]
_AllowAll = Annotated[bool, typer.Option("--allow-all-models", help="It may ask for every model.")]


@apps_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the app is called.")],
    *,
    description: _Description = None,
    allow_model: _AllowModel = None,
    allow_all_models: _AllowAll = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make an app; `keys create --app` makes keys for it."""
    _one_of_both(allow_model, allow_all_models=allow_all_models)
    # all are allowed where nothing is said
    allowed = present({"allowed_models": allow_model or None})
    made = admin_at(url, data_dir).apps.create(name=name, description=description or "", **allowed)
    show(made, as_json=as_json, text=f"Made {name!r} with the id {made['id']}.")


@apps_app.command("list")
def list_apps(
    *, search: SearchOption = "", as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the apps by name."""
    rows = list(admin_at(url, data_dir).apps.each(search=search or None))
    show_list(rows, _COLUMNS, [_cells(row) for row in rows], as_json=as_json)


@apps_app.command("change")
def change(
    app: _App,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    description: _Description = None,
    allow_model: _AllowModel = None,
    allow_all_models: _AllowAll = False,
    on: Annotated[
        bool | None, typer.Option("--on/--off", show_default="as it is", help="Whether its keys open the door.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change an app; one that is off is refused within a second, with all its keys."""
    _one_of_both(allow_model, allow_all_models=allow_all_models)
    said = {"name": name, "description": description, "is_enabled": on, "allowed_models": allow_model or None}
    nulls: dict[str, None] = {"allowed_models": None} if allow_all_models else {}
    body = changed_fields(said, nulls, flags=("--name", "--description", "--allow-model", "--on", "--off"))
    row = admin_at(url, data_dir).apps.change(app, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}.")


def _one_of_both(allow_model: list[str] | None, *, allow_all_models: bool) -> None:
    if allow_model and allow_all_models:
        raise wrong("--allow-model and --allow-all-models are both said; say one of the two.")


def _cells(app: Row) -> list[object]:
    allowed = app["allowed_models"]
    models = "all" if allowed is None else ", ".join(allowed) or "none"
    return [app["id"], app["name"], state_of(app), models, app["description"], app["created_at"]]
