"""`llm-manager providers keys`: the keys of a provider, which attempts use in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption, one_resource
from llm_manager.cli.secret_input import Source

from .admin_calls import admin_at, show

provider_keys_app = typer.Typer(help="Add keys of a provider, take them away, switch them.", no_args_is_help=True)
KeyFile = Annotated[Path | None, typer.Option("--api-key-file", help="File that holds the key of the provider.")]
KeyStdin = Annotated[bool, typer.Option("--api-key-stdin", help="Read the key of the provider from standard input.")]
KeyVariable = Annotated[
    str | None, typer.Option("--api-key-env", metavar="VARIABLE", help="Variable that holds the key of the provider.")
]
ProviderName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name or id of the provider, as `providers list` shows it.", callback=one_resource
    ),
]
_Key = Annotated[str, typer.Argument(help="Name of the key, as `providers show` shows it.", callback=one_resource)]


@provider_keys_app.command("add")
def add(
    provider: ProviderName,
    key: Annotated[str, typer.Argument(help="What the key is called.")],
    *,
    api_key_file: KeyFile = None,
    api_key_stdin: KeyStdin = False,
    api_key_env: KeyVariable = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Give a provider a further key; it is typed without echo, unless an option says where it is."""
    calls = admin_at(url, data_dir).providers
    source = Source("--api-key", file=api_key_file, from_stdin=api_key_stdin, variable=api_key_env)
    row = calls.create_key(provider, name=key, api_key=source.read_or_ask())
    show(row, as_json=as_json, text=f"{row['name']!r} has {len(row['api_keys'])} keys, used in turn.")


@provider_keys_app.command("remove")
def remove(
    provider: ProviderName,
    key: _Key,
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Take a key of a provider away."""
    row = admin_at(url, data_dir).providers.delete_key(provider, key)
    show(row, as_json=as_json, text=f"Removed the key {key!r}; {row['name']!r} has {len(row['api_keys'])} left.")


@provider_keys_app.command("on")
def switch_on(
    provider: ProviderName,
    key: _Key,
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Use a key of a provider again."""
    row = admin_at(url, data_dir).providers.change_key(provider, key, is_enabled=True)
    show(row, as_json=as_json, text=f"The key {key!r} of {row['name']!r} is on.")


@provider_keys_app.command("off")
def switch_off(
    provider: ProviderName,
    key: _Key,
    *,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Use a key of a provider no more, and keep it."""
    row = admin_at(url, data_dir).providers.change_key(provider, key, is_enabled=False)
    show(row, as_json=as_json, text=f"The key {key!r} of {row['name']!r} is off.")
