"""`llm-manager providers`: which there are, where each comes from, and how each is reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, DescriptionOption, JsonOption, OnOption, SearchOption, UrlOption
from llm_manager.cli.output import print_json, print_table
from llm_manager.cli.secret_input import Source, read_file
from llm_manager.cli.stack.origins import origin_of
from llm_manager.cli.values import change as changed_fields
from llm_manager.cli.values import cleared, number_pairs, pairs, present, wrong

from .admin_calls import Row, admin_at, named, show, show_fields, state_of
from .provider_keys import KeyFile, KeyStdin, KeyVariable, ProviderName, provider_keys_app

providers_app = typer.Typer(
    help="Make, list and change providers; forget those kept from before.", invoke_without_command=True
)
providers_app.add_typer(provider_keys_app, name="keys")
_COLUMNS = ("name", "kind", "state", "models", "base URL", "where it comes from")
_CLEARABLE = {
    name: name.replace("-", "_") for name in ("api-key", "base-url", "description", "headers", "paths", "timeouts")
}
_BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Where it is reached; without, where its kind is.")]
_Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header", metavar="NAME=VALUE", help="Sent with every request; a secret with --header-file. Repeatable."
    ),
]
_HeaderFiles = Annotated[
    list[str] | None, typer.Option("--header-file", metavar="NAME=FILE", help="A header from a file. Repeatable.")
]
_Paths = Annotated[
    list[str] | None,
    typer.Option(
        "--path", metavar="OPERATION=PATH", help="Below the base URL: chat=/v2/chat. Repeatable; a change says all."
    ),
]
_Timeouts = Annotated[
    list[str] | None,
    typer.Option(
        "--timeout",
        metavar="NAME=SECONDS",
        help="connect, headers, first_token, idle or total. Repeatable; a change says all.",
    ),
]


@providers_app.callback()
def providers(context: typer.Context) -> None:
    """Make, list and change providers; forget those kept from before."""
    if context.invoked_subcommand is None:
        list_providers()


@providers_app.command("list")
def list_providers(
    *, search: SearchOption = "", as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the providers with their origin, without credentials."""
    rows = list(admin_at(url, data_dir).providers.each(search=search or None))
    if as_json:
        print_json({"data": rows})
    else:
        print_table(_COLUMNS, [_cells(row) for row in rows], right=frozenset({"models"}))


@providers_app.command("show")
def show_provider(
    name: ProviderName, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Show a provider and its keys, of each only what may be seen."""
    row = admin_at(url, data_dir).providers.get(name)
    keys = [f"{key['name']} {key['fingerprint']} {'on' if key['is_enabled'] else 'off'}" for key in row["api_keys"]]
    fields = {
        "id": row["id"],
        **dict(zip(_COLUMNS, _cells(row), strict=True)),
        "description": row["description"],
        "keys": ", ".join(keys) or "none",
        "headers": named(row["headers"]),
        "paths": named(row["paths"]),
        "timeouts": named({limit: f"{seconds:g} s" for limit, seconds in row["timeouts"].items()}),
        "archived": row["archived_at"],
    }
    show_fields(row, fields, as_json=as_json)


@providers_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is called; `<name>/<model>` leads to each of its models.")],
    *,
    kind: Annotated[str, typer.Option("--kind", help="Which API it speaks: openai, anthropic, ollama …")],
    base_url: _BaseUrl = None,
    api_key_file: KeyFile = None,
    api_key_stdin: KeyStdin = False,
    api_key_env: KeyVariable = None,
    no_api_key: Annotated[bool, typer.Option("--no-api-key", help="It needs none, so do not ask.")] = False,
    header: _Headers = None,
    header_file: _HeaderFiles = None,
    path: _Paths = None,
    timeout: _Timeouts = None,
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a provider; at a terminal its key is typed without echo, unless an option says where it is."""
    said = {
        "description": description,
        "base_url": base_url,
        "headers": _headers(header, header_file) or None,
        "paths": pairs("--path", path) or None,
        "timeouts": number_pairs("--timeout", timeout) or None,
        "is_enabled": on,
    }
    calls = admin_at(url, data_dir).providers
    source = Source("--api-key", file=api_key_file, from_stdin=api_key_stdin, variable=api_key_env)
    said["api_key"] = source.read() if no_api_key else source.read_or_offer()
    if no_api_key and said["api_key"]:
        raise wrong("--no-api-key and a key are said; say one of the two.")
    made = calls.create(name=name, kind=kind, **present(said))
    show(made, as_json=as_json, text=f"Made {made['name']!r}; '{made['name']}/<model>' leads to its models.")


@providers_app.command("change")
def change(
    provider: ProviderName,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    base_url: _BaseUrl = None,
    api_key_file: KeyFile = None,
    api_key_stdin: KeyStdin = False,
    api_key_env: KeyVariable = None,
    api_key_prompt: Annotated[bool, typer.Option("--api-key-prompt", help="Type the key without echo.")] = False,
    header: _Headers = None,
    header_file: _HeaderFiles = None,
    no_header: Annotated[list[str] | None, typer.Option("--no-header", help="Header to take away.")] = None,
    path: _Paths = None,
    timeout: _Timeouts = None,
    description: DescriptionOption = None,
    on: OnOption = None,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help=f"{', '.join(_CLEARABLE)}. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a provider; the next request obeys. A key replaces all that it has; headers are merged by name."""
    source = Source(
        "--api-key", file=api_key_file, from_stdin=api_key_stdin, variable=api_key_env, prompts=api_key_prompt
    )
    said = {
        "name": name,
        "description": description,
        "base_url": base_url,
        "is_enabled": on,
        "headers": _headers(header, header_file, without=no_header) or None,
        "paths": pairs("--path", path) or None,
        "timeouts": number_pairs("--timeout", timeout) or None,
        "api_key": source.read(),
    }
    body = changed_fields(said, cleared(clear, _CLEARABLE), flags=("--base-url", "--api-key-file", "--header", "--off"))
    row = admin_at(url, data_dir).providers.change(provider, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}.")


@providers_app.command("remove")
def remove(
    name: ProviderName, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove a provider that no model leads to, its credential included; one that a variable gives comes back."""
    calls = admin_at(url, data_dir).providers
    variables = calls.get(name)["kept_variables"]
    calls.delete(name)
    back = "; its variable brings it back at the next 'up'" if variables else ""
    show({"name": name, "removed": True}, as_json=as_json, text=f"Removed {name}{back}.")


@providers_app.command("archive")
def archive(
    name: ProviderName, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Put a provider away: nobody is served by it or its models, and the ledger keeps what it cost."""
    row = admin_at(url, data_dir).providers.archive(name)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}.")


@providers_app.command("restore")
def restore(
    name: ProviderName, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Bring a provider back, and with it those of its models that were on."""
    row = admin_at(url, data_dir).providers.restore(name)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}.")


def _headers(
    said: Sequence[str] | None, files: Sequence[str] | None, *, without: Sequence[str] | None = None
) -> dict[str, str | None]:
    """Return the headers to send, null for those to take away."""
    texts = pairs("--header", said)
    read = {
        name: read_file(f"--header-file {name}", Path(file)).rstrip("\r\n")
        for name, file in pairs("--header-file", files).items()
    }
    gone: dict[str, None] = dict.fromkeys(without or ())
    twice = [name for name in (*texts, *read, *gone) if (name in texts) + (name in read) + (name in gone) > 1]
    if twice:
        raise wrong(f"The header {twice[0]} is said by several options; say it once.")
    return {**texts, **read, **gone}


def _cells(row: Row) -> list[object]:
    origin = origin_of(row).as_text()
    return [row["name"], row["kind"], state_of(row), row["models"], row["base_url"], origin]
