"""`llm-manager users`: people, what they may do, and where they are logged in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llm_manager.cli.options import DataDirOption, JsonOption, OnOption, SearchOption, UrlOption, one_resource
from llm_manager.cli.output import print_json, print_table
from llm_manager.cli.secret_input import Source
from llm_manager.cli.values import change as changed_fields
from llm_manager.cli.values import cleared, present

from .admin_calls import Row, admin_at, show, show_fields, show_list, state_of

users_app = typer.Typer(help="Let people in, say what they may do, log them out.", no_args_is_help=True)
_COLUMNS = ("name", "title", "roles", "state", "language", "created")
_SESSION_COLUMNS = ("id", "address", "browser", "since", "last seen", "ends")
_CLEARABLE = {"title": "title", "roles": "roles", "language": "language"}
_User = Annotated[str, typer.Argument(help="Name or id of the user.", callback=one_resource)]
_Title = Annotated[str | None, typer.Option("--title", help="What people call the user.")]
_Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role", help="super-admin, master-developer, administrator or developer. Repeatable; a change says them all."
    ),
]
_Language = Annotated[str | None, typer.Option("--language", help="Of the admin UI: en, de, pt-BR …")]
_File = Annotated[Path | None, typer.Option("--password-file", help="File that holds the password.")]
_Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@users_app.command("list")
def list_users(
    *, search: SearchOption = "", as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the users by name."""
    rows = list(admin_at(url, data_dir).users.each(search=search or None))
    show_list(rows, _COLUMNS, [_cells(row) for row in rows], as_json=as_json)


@users_app.command("show")
def show_user(
    user: _User, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Show a user; the password is never shown."""
    row = admin_at(url, data_dir).users.get(user)
    fields = {"id": row["id"], **dict(zip(_COLUMNS, _cells(row), strict=True))}
    show_fields(row, fields, as_json=as_json)


@users_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the user types to log in.")],
    *,
    title: _Title = None,
    role: _Roles = None,
    language: _Language = None,
    on: OnOption = None,
    password_file: _File = None,
    password_stdin: _Stdin = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a user; the password is typed twice without echo, unless a file or standard input holds it."""
    calls = admin_at(url, data_dir).users
    password = Source("--password", file=password_file, from_stdin=password_stdin).read_or_ask()
    said = {"title": title, "roles": role or None, "language": language, "is_enabled": on}
    made = calls.create(name=name, password=password, **present(said))
    roles = ", ".join(made["roles"]) or "no role, so nothing is allowed"
    show(made, as_json=as_json, text=f"Made {made['name']!r}: {roles}.")


@users_app.command("change")
def change(
    user: _User,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    title: _Title = None,
    role: _Roles = None,
    language: _Language = None,
    on: OnOption = None,
    password_file: _File = None,
    password_stdin: _Stdin = False,
    password_prompt: Annotated[bool, typer.Option("--password-prompt", help="Type the password, twice.")] = False,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help="title, roles or language. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Change a user. Another password, other roles or --off log the user out everywhere."""
    source = Source("--password", file=password_file, from_stdin=password_stdin, prompts=password_prompt)
    said = {"name": name, "title": title, "roles": role or None, "language": language, "is_enabled": on}
    said["password"] = source.read()
    body = changed_fields(said, cleared(clear, _CLEARABLE), flags=("--role", "--password-file", "--title", "--off"))
    row = admin_at(url, data_dir).users.change(user, **body)
    show(row, as_json=as_json, text=f"{row['name']!r} is {state_of(row)}: {', '.join(row['roles']) or 'no role'}.")


@users_app.command("sessions")
def sessions(
    user: _User, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """List the browsers in which a user is logged in, the one used last first."""
    answer = admin_at(url, data_dir).users.list_sessions(user)
    if as_json:
        print_json(answer)
    elif not answer["data"]:
        print(f"{user} is logged in nowhere.")
    else:
        names = ("id", "address", "agent", "created_at", "seen_at", "expires_at")
        print_table(_SESSION_COLUMNS, [[row[name] for name in names] for row in answer["data"]])


@users_app.command("end-sessions")
def end_sessions(
    user: _User, *, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None
) -> None:
    """Log a user out everywhere; the password goes on working."""
    admin_at(url, data_dir).users.delete_sessions(user)
    show({"name": user, "sessions_ended": True}, as_json=as_json, text=f"Logged {user} out everywhere.")


def _cells(row: Row) -> list[object]:
    roles = ", ".join(row["roles"])
    return [row["name"], row["title"], roles, state_of(row), row["language"], row["created_at"]]
