"""`llm-manager providers`: which there are and where each comes from."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from llm_manager.cli import gateway
from llm_manager.cli.data_dir import locate
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption
from llm_manager.cli.output import print_json, print_table
from llm_manager.cli.stack.origins import origin_of

providers_app = typer.Typer(help="List providers, forget those kept from before.", invoke_without_command=True)
_COLUMNS = ("name", "models", "base URL", "where it comes from")


@providers_app.callback()
def providers(context: typer.Context) -> None:
    """List providers, forget those kept from before."""
    if context.invoked_subcommand is None:
        list_providers()


@providers_app.command("list")
def list_providers(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """List the providers with their origin, without credentials."""
    data = locate(data_dir)
    answer = gateway.admin(data, "GET", "/providers", address=gateway.find(data, explicit=url))
    if as_json:
        print_json(answer)
        return
    rows = [(item["name"], item["models"], item["base_url"], origin_of(item).as_text()) for item in answer["data"]]
    print_table(_COLUMNS, rows, right=frozenset({"models"}))


@providers_app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Name of the provider, as `providers list` shows it.")],
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Forget a provider that no variable gives any more, its credential included."""
    data = locate(data_dir)
    gateway.admin(data, "DELETE", f"/providers/{quote(name, safe='')}", address=gateway.find(data, explicit=url))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        print(f"Removed {name}; its variable brings it back at the next 'up'.")
