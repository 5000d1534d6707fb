"""`llm-manager keys`: the API keys of the apps."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table

keys_app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)
_COLUMNS = ("id", "name", "app", "state", "created")


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    app: Annotated[str, typer.Option("--app", help="The app that the key belongs to.")] = "default",
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and show it: this once, for it is stored as a hash."""
    data = locate(data_dir)
    made = gateway.admin(
        data, "POST", "/keys", address=gateway.find(data, explicit=url), json={"name": name, "app": app}
    )
    if as_json:
        print_json(made)
    else:
        print(f"{made['api_key']}\n\nKeep it now: it is not shown again. Its id is {made['id']}.")


@keys_app.command("list")
def list_keys(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """List the keys, without their secrets."""
    data = locate(data_dir)
    rows = list(gateway.pages(data, "/keys", address=gateway.find(data, explicit=url), sort="-created"))
    if as_json:
        print_json({"data": rows})
        return
    print_table(_COLUMNS, [_row(key) for key in rows])


@keys_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `keys list` shows it.")],
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Revoke a key; requests with it are refused within a second."""
    data = locate(data_dir)
    gateway.admin(data, "DELETE", f"/keys/{quote(key_id, safe='')}", address=gateway.find(data, explicit=url))
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        print(f"Revoked {key_id}.")


def _row(key: dict[str, Any]) -> list[object]:
    state = "revoked" if key["revoked_at"] else "active"
    return [key["id"], key["name"], key["app"], state, key["created_at"]]
