"""`llm-manager models`: the models that clients may ask for, each a configuration of a provider's."""

from __future__ import annotations

import json
from typing import Annotated, Any

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
from llm_manager.cli.values import cleared, json_pairs, pairs, present

from .admin_calls import Row, admin_at, named, show, show_fields, show_list, state_of

models_app = typer.Typer(help="Make, list and change the models that clients ask for.", no_args_is_help=True)
_COLUMNS = ("name", "provider", "model", "app", "state", "default")
_CLEARABLE = {
    "title": "title", "description": "description", "app": "app", "parameters": "default_parameters",
    "capabilities": "capabilities", "context-window": "context_window", "max-output-tokens": "max_output_tokens",
    "rpm": "requests_per_minute", "tpm": "tokens_per_minute", "use-cases": "use_cases", "tags": "tags",
}  # fmt: skip
_Configuration = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id, as `models list` shows it.", callback=one_resource)
]
_Upstream = Annotated[str | None, typer.Option("--model", help="The model as the provider calls it.")]
_Title = Annotated[str | None, typer.Option("--title", help="Name for people.")]
_App = Annotated[str | None, typer.Option("--app", help="The one app that may use it; without, all.")]
_Default = Annotated[
    bool | None,
    typer.Option("--default/--no-default", show_default="as it is", help="Whether it is what `default` means."),
]
_Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=JSON",
        help="What calls get unless they say otherwise: temperature=0.2. Repeatable; a change says them all.",
    ),
]
_Adapts = Annotated[
    bool | None,
    typer.Option(
        "--adapts-parameters/--no-adapts-parameters",
        show_default="as it is",
        help="Leave out what the provider does not take.",
    ),
]
_Capabilities = Annotated[
    list[str] | None, typer.Option("--capability", help="What it can do: tools, images … Repeatable.")
]
_ContextWindow = Annotated[int | None, typer.Option("--context-window", min=1, help="Tokens of prompt and answer.")]
_MaxOutput = Annotated[int | None, typer.Option("--max-output-tokens", min=1, help="Tokens of one answer.")]
_Rpm = Annotated[int | None, typer.Option("--rpm", min=1, help="Requests a minute that the provider allows.")]
_Tpm = Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens a minute that the provider allows.")]
_UseCases = Annotated[list[str] | None, typer.Option("--use-case", help="What it is meant for. Repeatable.")]
_Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="Goes into the ledger. Repeatable; a change says them all."),
]


@models_app.command("list")
def list_models(
    *, search: SearchOption = "", as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the models by name. `<provider>/<model>` leads to any other model of a provider."""
    rows = list(admin_at(url, data_dir).configurations.each(search=search or None))
    show_list(rows, _COLUMNS, [_cells(row) for row in rows], as_json=as_json)


@models_app.command("show")
def show_model(
    name: _Configuration, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Show a model with all that is known about it."""
    row = admin_at(url, data_dir).configurations.get(name)
    fields = {
        "id": row["id"],
        **dict(zip(_COLUMNS, _cells(row), strict=True)),
        "title": row["title"],
        "description": row["description"],
        "parameters": json.dumps(row["default_parameters"], ensure_ascii=False) if row["default_parameters"] else "",
        "adapts parameters": "yes" if row["adapts_parameters"] else "",
        "capabilities": "as its provider says" if row["capabilities"] is None else ", ".join(row["capabilities"]),
        "context window": row["context_window"],
        "max output tokens": row["max_output_tokens"],
        "requests a minute": row["requests_per_minute"],
        "tokens a minute": row["tokens_per_minute"],
        "use cases": ", ".join(row["use_cases"]),
        "tags": named(row["tags"]),
    }
    show_fields(row, fields, as_json=as_json)


@models_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What clients write in `model`.")],
    *,
    provider: Annotated[str, typer.Option("--provider", help="Name or id of the provider.")],
    model: _Upstream = None,
    title: _Title = None,
    description: DescriptionOption = None,
    app: _App = None,
    default: _Default = None,
    on: OnOption = None,
    parameter: _Parameters = None,
    adapts_parameters: _Adapts = None,
    capability: _Capabilities = None,
    context_window: _ContextWindow = None,
    max_output_tokens: _MaxOutput = None,
    rpm: _Rpm = None,
    tpm: _Tpm = None,
    use_case: _UseCases = None,
    tag: _Tags = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a model; the next request may name it. Without --model it stays off."""
    said = {
        "upstream_model": model,
        "title": title,
        "description": description,
        "app": app,
        "is_default": default,
        "is_enabled": on,
        "adapts_parameters": adapts_parameters,
        "context_window": context_window,
        "max_output_tokens": max_output_tokens,
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        **_lists(parameter, capability, use_case, tag),
    }
    made = admin_at(url, data_dir).configurations.create(name=name, provider=provider, **present(said))
    show(made, as_json=as_json, text=f"Made {made['name']!r}; it is {state_of(made)}.")


@models_app.command("change")
def change(
    configuration: _Configuration,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Another provider.")] = None,
    model: _Upstream = None,
    title: _Title = None,
    description: DescriptionOption = None,
    app: _App = None,
    default: _Default = None,
    on: OnOption = None,
    parameter: _Parameters = None,
    adapts_parameters: _Adapts = None,
    capability: _Capabilities = None,
    context_window: _ContextWindow = None,
    max_output_tokens: _MaxOutput = None,
    rpm: _Rpm = None,
    tpm: _Tpm = None,
    use_case: _UseCases = None,
    tag: _Tags = None,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help=f"{', '.join(_CLEARABLE)}. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a model; the next request obeys. One that is off is refused."""
    said = {
        "name": name,
        "provider": provider,
        "upstream_model": model,
        "title": title,
        "description": description,
        "app": app,
        "is_default": default,
        "is_enabled": on,
        "adapts_parameters": adapts_parameters,
        "context_window": context_window,
        "max_output_tokens": max_output_tokens,
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        **_lists(parameter, capability, use_case, tag),
    }
    body = changed_fields(said, cleared(clear, _CLEARABLE), flags=("--model", "--parameter", "--on", "--off"))
    row = admin_at(url, data_dir).configurations.change(configuration, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}.")


@models_app.command("remove")
def remove(
    name: _Configuration, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Remove a model; the ledger keeps its name."""
    admin_at(url, data_dir).configurations.delete(name)
    show({"name": name, "removed": True}, as_json=as_json, text=f"Removed {name}.")


# Any: JSON of any shape
def _lists(
    parameter: list[str] | None, capability: list[str] | None, use_case: list[str] | None, tag: list[str] | None
) -> dict[str, Any]:
    """Return the repeatable options; None for what was not said."""
    return {
        "default_parameters": json_pairs("--parameter", parameter) or None,
        "capabilities": capability or None,
        "use_cases": use_case or None,
        "tags": pairs("--tag", tag) or None,
    }


def _cells(row: Row) -> list[object]:
    default = "yes" if row["is_default"] else ""
    return [row["name"], row["provider"], row["upstream_model"], row["app"] or "all", state_of(row), default]
