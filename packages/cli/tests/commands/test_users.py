"""`llm-manager users`, and as whom commands ask the admin API."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli import secret_input
from llm_manager.cli.exit_codes import CommandError, ExitCode

_USER: dict[str, Any] = {
    "id": "u1", "name": "ann", "title": "Ann", "roles": ["developer"], "language": "de", "is_enabled": True,
    "created_at": "2026-11-29T00:00:00Z",
}  # fmt: skip
_SESSION = {
    "id": "s1", "address": "192.0.2.1", "agent": "Firefox", "created_at": "2026-11-29T00:00:00Z",
    "seen_at": "2026-11-29T01:00:00Z", "expires_at": "2026-11-30T00:00:00Z",
}  # fmt: skip
_PATH = "/api/v1/users/ann"
_NOWHERE = "http://127.0.0.1:9"
_PASSWORD = "a sentence that nobody guesses"
_NOTHING: dict[str, Any] = {"data": [], "next_cursor": None}


def _error(result: Any) -> CommandError:
    assert isinstance(result.exception, CommandError), result.exception
    return result.exception


def test_a_user_is_made_with_a_password_from_a_file(tmp_path: Path, invoke: Any, admin_header: str) -> None:
    (tmp_path / "password").write_text(f"{_PASSWORD}\n")
    options = [
        *("--title", "Ann", "--role", "developer", "--role", "administrator", "--language", "de", "--off"),
        *("--password-file", str(tmp_path / "password")),
    ]
    with serving({"POST /api/v1/users": (201, as_json(_USER))}) as gateway:
        made = invoke("users", "create", "ann", *options, "--url", gateway.url)
        raw = invoke("users", "create", "ann", "--password-stdin", "--json", "--url", gateway.url, text=_PASSWORD)
    body = {"name": "ann", "password": _PASSWORD, "title": "Ann", "roles": ["developer", "administrator"]}
    assert gateway.seen == [
        Seen("POST", "/api/v1/users", admin_header, {**body, "language": "de", "is_enabled": False}),
        Seen("POST", "/api/v1/users", admin_header, {"name": "ann", "password": _PASSWORD}),
    ]
    assert made.stdout == "Made 'ann': developer.\n"
    assert json.loads(raw.stdout) == _USER


def test_a_password_is_typed_twice_without_echo(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_input, "is_terminal", lambda: True)
    answers = {"POST /api/v1/users": (201, as_json(_USER)), f"PATCH {_PATH}": (200, as_json(_USER))}
    typed = f"wrong\nother\n{_PASSWORD}\n{_PASSWORD}\n"
    with serving(answers) as gateway:
        made = invoke("users", "create", "ann", "--url", gateway.url, text=typed)
        changed = invoke("users", "change", "ann", "--password-prompt", "--url", gateway.url, text=typed)
    assert [seen.body for seen in gateway.seen] == [{"name": "ann", "password": _PASSWORD}, {"password": _PASSWORD}]
    assert _PASSWORD not in made.output + changed.output


def test_without_a_terminal_a_password_needs_a_source(invoke: Any) -> None:
    for arguments in (["create", "ann"], ["change", "ann", "--password-prompt"]):
        error = _error(invoke("users", *arguments, "--url", _NOWHERE))
        assert (error.exit_code, "--password-file" in error.message) == (ExitCode.USAGE, True)


def test_a_user_is_changed(invoke: Any) -> None:
    with serving({f"PATCH {_PATH}": (200, as_json(_USER | {"roles": []}))}) as gateway:
        options = ["--name", "n", "--language", "en", "--on", "--clear", "roles", "--clear", "title"]
        changed = invoke("users", "change", "ann", *options, "--url", gateway.url)
        nothing = invoke("users", "change", "ann", "--url", gateway.url)
    assert changed.stdout == "'ann' is on: no role.\n"
    assert [seen.body for seen in gateway.seen] == [
        {"name": "n", "language": "en", "is_enabled": True, "roles": None, "title": None}
    ]
    assert _error(nothing).exit_code == ExitCode.USAGE


def test_users_are_listed_and_shown(invoke: Any) -> None:
    answers = {
        "GET /api/v1/users": (200, as_json({"data": [_USER], "next_cursor": None})),
        f"GET {_PATH}": (200, as_json(_USER)),
    }
    with serving(answers) as gateway:
        listed = invoke("users", "list", "--url", gateway.url)
        rows = invoke("users", "list", "--json", "--url", gateway.url)
        shown = invoke("users", "show", "ann", "--url", gateway.url)
        raw = invoke("users", "show", "ann", "--json", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split() == ["ann", "Ann", "developer", "on", "de", "2026-11-29T00:00:00Z"]
    assert ["roles", "developer"] in [line.split() for line in shown.stdout.splitlines()]
    assert (json.loads(rows.stdout), json.loads(raw.stdout)) == ({"data": [_USER]}, _USER)


def test_sessions_are_listed_and_ended(invoke: Any, admin_header: str) -> None:
    answers = {
        f"GET {_PATH}/sessions": (200, as_json({"data": [_SESSION]})),
        "GET /api/v1/users/bob/sessions": (200, as_json({"data": []})),
        f"DELETE {_PATH}/sessions": (204, b""),
    }
    with serving(answers) as gateway:
        listed = invoke("users", "sessions", "ann", "--url", gateway.url)
        raw = invoke("users", "sessions", "ann", "--json", "--url", gateway.url)
        nowhere = invoke("users", "sessions", "bob", "--url", gateway.url)
        ended = invoke("users", "end-sessions", "ann", "--url", gateway.url)
        ended_raw = invoke("users", "end-sessions", "ann", "--json", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split()[:3] == ["s1", "192.0.2.1", "Firefox"]
    assert json.loads(raw.stdout) == {"data": [_SESSION]}
    assert nowhere.stdout == "bob is logged in nowhere.\n"
    assert ended.stdout == "Logged ann out everywhere.\n"
    assert json.loads(ended_raw.stdout) == {"name": "ann", "sessions_ended": True}
    assert gateway.seen[-1] == Seen("DELETE", f"{_PATH}/sessions", admin_header, None)


def test_a_refusal_of_a_user_is_the_sentence_of_the_gateway(invoke: Any) -> None:
    said = {"error": {"message": "This password is among the most used ones; choose another.", "code": "invalid"}}
    with serving({"POST /api/v1/users": (400, as_json(said))}) as gateway:
        error = _error(invoke("users", "create", "ann", "--password-stdin", "--url", gateway.url, text="password"))
    assert (error.exit_code, "among the most used" in error.message) == (ExitCode.FAILED, True)


def _asked_as(invoke: Any) -> str:
    with serving({"GET /api/v1/users": (200, as_json(_NOTHING))}) as gateway:
        assert invoke("users", "list", "--url", gateway.url).exception is None
    return gateway.seen[0].authorization


def test_commands_ask_as_whom_the_variables_say(tmp_path: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    basic = base64.b64encode(b"ann:s3cret").decode()
    monkeypatch.setenv("LLM_MANAGER_ADMIN_USER", "ann")
    monkeypatch.setenv("LLM_MANAGER_ADMIN_PASSWORD", "s3cret")
    assert _asked_as(invoke) == f"Basic {basic}"
    monkeypatch.delenv("LLM_MANAGER_ADMIN_PASSWORD")
    monkeypatch.setenv("LLM_MANAGER_ADMIN_PASSWORD_FILE", str(tmp_path / "secret"))
    assert _asked_as(invoke) == f"Basic {basic}"
    monkeypatch.delenv("LLM_MANAGER_ADMIN_USER")
    assert _asked_as(invoke) == f"Basic {base64.b64encode(b'admin:s3cret').decode()}"
    monkeypatch.delenv("LLM_MANAGER_ADMIN_PASSWORD_FILE")
    monkeypatch.setenv("LLM_MANAGER_ADMIN_KEY", "lm_live_x")
    assert _asked_as(invoke) == "Bearer lm_live_x"


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"USER": "ann"}, "USER is set without"),
        ({"USER": "ann", "PASSWORD": "x", "KEY": "k"}, "are both set"),
        ({"KEY_FILE": "/no/such/file"}, "KEY_FILE cannot be read: No such file"),
        ({"PASSWORD_FILE": "/dev/null"}, "PASSWORD_FILE is empty"),
    ],
    ids=["no password", "both", "no file", "empty"],
)
def test_variables_that_cannot_be_meant_are_a_wrong_setting(
    variables: dict[str, str], why: str, invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LLM_MANAGER_ADMIN_{name}", value)
    error = _error(invoke("users", "list", "--url", _NOWHERE))
    assert (error.exit_code, why in error.message) == (ExitCode.SETTINGS, True)


def test_the_help_names_the_variables(invoke: Any) -> None:
    assert "LLM_MANAGER_ADMIN_KEY" in invoke("--help").stdout
