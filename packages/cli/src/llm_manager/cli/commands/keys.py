"""`llm-manager keys`: the API keys of the apps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from llm_manager.cli.exit_codes import CommandError, ExitCode
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption, one_resource
from llm_manager.cli.output import print_json, print_table
from llm_manager.cli.values import present

from .admin_calls import Row, admin_at

keys_app = typer.Typer(help="Create, list, show, rotate and revoke API keys.", no_args_is_help=True)
_COLUMNS = ("id", "name", "app", "state", "scopes", "expires", "created")
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KeyId = Annotated[str, typer.Argument(help="Id of the key, as `keys list` shows it.", callback=one_resource)]


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    app: Annotated[str, typer.Option("--app", help="The app that the key belongs to.")] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            show_default="inference",
            help="What it may do: inference, or a permission of the admin API. Repeatable.",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", show_default="never", help="When it ends: 30d, 12h, or 2027-01-31T00:00:00Z."),
    ] = None,
    allow_address: Annotated[
        list[str] | None,
        typer.Option("--allow-address", show_default="any", help="Address or network (CIDR) it may come from."),
    ] = None,
    allow_model: Annotated[
        list[str] | None,
        typer.Option("--allow-model", show_default="those of its app", help="Model it may ask for; `*` at an end."),
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and show it: this once, for it is stored as a hash."""
    said = {
        "scopes": scope or None,
        "expires_at": None if expires is None else _instant(expires),
        "allowed_addresses": allow_address or None,
        "allowed_models": allow_model or None,
    }
    made = admin_at(url, data_dir).keys.create(name=name, app=app, **present(said))
    _show_new(made, as_json=as_json)


@keys_app.command("list")
def list_keys(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """List the keys, without their secrets."""
    rows = list(admin_at(url, data_dir).keys.each(sort="-created"))
    if as_json:
        print_json({"data": rows})
        return
    print_table(_COLUMNS, [_row(key) for key in rows])


@keys_app.command("show")
def show(key_id: _KeyId, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Show a key with all that it may do, without its secret."""
    key = admin_at(url, data_dir).keys.get(key_id)
    if as_json:
        print_json(key)
        return
    rows = [
        *zip(_COLUMNS, _row(key), strict=True),
        ("begins with", key["prefix"]),
        ("addresses", _listed(key["allowed_addresses"], nothing="any")),
        ("models", _listed(key["allowed_models"], nothing="those of its app")),
        ("replaced by", key["replaced_by"] or "-"),
    ]
    print_table(("field", "value"), rows)


@keys_app.command("rotate")
def rotate(
    key_id: _KeyId,
    *,
    overlap: Annotated[
        str, typer.Option("--overlap", help="How long the old key is still good: 24h, 30m, 7d; 0s revokes it at once.")
    ] = "24h",
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key like this one, and show it: this once. The old one is good until the overlap is over."""
    span = _span(overlap)
    if span is None:
        raise CommandError("--overlap is a time like 24h, 30m or 7d.", exit_code=ExitCode.USAGE)
    made = admin_at(url, data_dir).keys.rotate(key_id, overlap_seconds=int(span.total_seconds()))
    _show_new(made, as_json=as_json)


@keys_app.command("revoke")
def revoke(
    key_id: _KeyId, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Revoke a key; requests with it are refused within a second."""
    admin_at(url, data_dir).keys.delete(key_id)
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        print(f"Revoked {key_id}.")


def _show_new(made: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        print(f"{made['api_key']}\n\nKeep it now: it is not shown again. Its id is {made['id']}.")


def _row(key: Row) -> list[object]:
    scopes, expires = " ".join(key["scopes"]), key["expires_at"] or "never"
    return [key["id"], key["name"], key["app"], _state(key), scopes, expires, key["created_at"]]


def _state(key: Row) -> str:
    if key["revoked_at"]:
        return "revoked"
    if key["expires_at"] and datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC):
        return "expired"
    return "replaced" if key["replaced_by"] else "active"


def _listed(values: list[str] | None, *, nothing: str) -> str:
    return nothing if values is None else " ".join(values) or "none"


def _span(text: str) -> timedelta | None:
    found = _SPAN.fullmatch(text.strip())
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})


def _instant(text: str) -> str:
    """Return a time as the gateway takes it; it refuses what is none."""
    span = _span(text)
    if span is None:
        return text
    try:
        return (datetime.now(UTC) + span).isoformat()
    except OverflowError as error:
        raise CommandError(f"--expires {text} is after all times.", exit_code=ExitCode.USAGE) from error
