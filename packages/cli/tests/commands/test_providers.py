"""`llm-manager providers`: what is sent, where secrets come from, what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli import secret_input
from llm_manager.cli.exit_codes import CommandError, ExitCode

_ROW: dict[str, Any] = {
    "id": "p1",
    "name": "my/own",
    "kind": "openai",
    "is_enabled": True,
    "description": "the house",
    "base_url": "https://x/v1",
    "api_keys": [
        {"name": "default", "fingerprint": "…f3Qa", "is_enabled": True},
        {"name": "second", "fingerprint": "…9999", "is_enabled": False},
    ],
    "headers": {"x-team": "search"},
    "paths": {"chat": "/v2/chat"},
    "timeouts": {"connect": 5.0},
    "archived_at": None,
    "origin": "admin",
    "variables": [],
    "kept_variables": [],
    "models": 2,
}
_PATH = "/api/v1/providers/my%2Fown"
_NOWHERE = "http://127.0.0.1:9"


def _sent(invoke: Any, command: str, *options: str, text: str | None = None) -> Any:
    answers = {"POST /api/v1/providers": (201, as_json(_ROW)), f"PATCH {_PATH}": (200, as_json(_ROW))}
    with serving(answers) as gateway:
        done = invoke("providers", command, "my/own", *options, "--url", gateway.url, text=text)
    assert done.exception is None, done.exception
    return gateway.seen[0].body


def _wrong(invoke: Any, *arguments: str, text: str | None = None) -> str:
    result = invoke(*arguments, "--url", _NOWHERE, text=text)
    assert isinstance(result.exception, CommandError), result.exception
    assert result.exception.exit_code == ExitCode.USAGE
    return result.exception.message


def test_a_provider_is_made_with_all_that_it_may_have(tmp_path: Path, invoke: Any) -> None:
    (tmp_path / "key").write_text("sk-canary\n")
    (tmp_path / "header").write_text("Bearer two\n")
    options = [
        *("--kind", "openai", "--base-url", "https://x/v1", "--api-key-file", str(tmp_path / "key")),
        *("--header", "x-team=a=b", "--header-file", f"x-other={tmp_path / 'header'}", "--path", "chat=/v2/chat"),
        *("--timeout", "connect=5", "--timeout", "idle=0.5", "--description", "the house", "--off"),
    ]
    assert _sent(invoke, "create", *options) == {
        "name": "my/own",
        "kind": "openai",
        "description": "the house",
        "base_url": "https://x/v1",
        "headers": {"x-team": "a=b", "x-other": "Bearer two"},
        "paths": {"chat": "/v2/chat"},
        "timeouts": {"connect": 5, "idle": 0.5},
        "is_enabled": False,
        "api_key": "sk-canary",
    }


def test_a_key_may_come_from_standard_input_or_a_variable(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-of-a-variable")
    assert _sent(invoke, "create", "--kind", "openai", "--api-key-stdin", text="sk-in\n")["api_key"] == "sk-in"
    assert _sent(invoke, "create", "--kind", "openai", "--api-key-env", "MY_KEY")["api_key"] == "sk-of-a-variable"


@pytest.mark.parametrize(
    ("typed", "sent"), [("sk-typed\n", {"api_key": "sk-typed"}), ("\n", {})], ids=["a key", "none"]
)
def test_at_a_terminal_the_key_is_typed_without_echo(
    typed: str, sent: dict[str, str], invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_input, "is_terminal", lambda: True)
    with serving({"POST /api/v1/providers": (201, as_json(_ROW))}) as gateway:
        done = invoke("providers", "create", "x", "--kind", "openai", "--url", gateway.url, text=typed)
        quiet = invoke("providers", "create", "x", "--kind", "echo", "--no-api-key", "--url", gateway.url)
    assert [seen.body for seen in gateway.seen] == [
        {"name": "x", "kind": "openai", **sent},
        {"name": "x", "kind": "echo"},
    ]
    assert "API key (Enter for none)" in done.stderr
    assert "sk-typed" not in done.output
    assert "API key" not in quiet.output


@pytest.mark.parametrize(
    "options", [["--api-key-env", "NOT_SET"], ["--api-key-stdin"], ["--api-key-file", "/dev/null"]]
)
def test_an_empty_secret_is_wrong_usage(options: list[str], invoke: Any) -> None:
    assert "is empty" in _wrong(invoke, "providers", "create", "x", "--kind", "openai", *options, text="")


def test_a_secret_comes_from_one_place_that_can_be_read(tmp_path: Path, invoke: Any) -> None:
    create = ("providers", "create", "x", "--kind", "openai")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert "one place" in _wrong(invoke, *create, "--api-key-stdin", "--api-key-env", "K", text="k")
    assert "No such file" in _wrong(invoke, *create, "--api-key-file", str(tmp_path / "none"))
    assert "it is no text" in _wrong(invoke, *create, "--api-key-file", str(tmp_path / "bytes"))
    assert "one of the two" in _wrong(invoke, *create, "--api-key-stdin", "--no-api-key", text="k")
    assert "not one line" in _wrong(invoke, *create, "--api-key-stdin", text="k\nl\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--header", "secret-without-sign"], "--header is written as name=value"),
        (["--header", "a=1", "--header", "a=2"], "--header says a twice"),
        (["--header", "a=1", "--no-header", "a"], "The header a is said by several options"),
        (["--timeout", "connect=soon"], "--timeout connect is no number"),
        (["--timeout", "connect=inf"], "--timeout connect is no number"),
        (["--clear", "name"], "--clear does not know 'name'; it takes api-key, base-url"),
        (["--clear", "headers", "--header", "a=1"], "headers is both said and cleared"),
        ([], "Say what to change: --base-url"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(options: list[str], why: str, invoke: Any) -> None:
    message = _wrong(invoke, "providers", "change", "x", *options)
    assert why in message
    assert "secret-without-sign" not in message


def test_a_change_sends_what_was_said_and_null_for_what_is_cleared(invoke: Any) -> None:
    options = ["--header", "a=1", "--no-header", "b", "--clear", "base-url", "--clear", "timeouts", "--on"]
    assert _sent(invoke, "change", *options) == {
        "headers": {"a": "1", "b": None},
        "is_enabled": True,
        "base_url": None,
        "timeouts": None,
    }
    assert _sent(invoke, "change", "--api-key-stdin", text="sk-new") == {"api_key": "sk-new"}


def test_a_provider_is_shown_with_the_fingerprints_of_its_keys(invoke: Any, admin_header: str) -> None:
    with serving({f"GET {_PATH}": (200, as_json(_ROW))}) as gateway:
        shown = invoke("providers", "show", "my/own", "--url", gateway.url)
        raw = invoke("providers", "show", "my/own", "--json", "--url", gateway.url)
    rows = [line.split(maxsplit=1) for line in shown.stdout.splitlines()]
    assert ["keys", "default …f3Qa on, second …9999 off"] in [[name, value.strip()] for name, value in rows]
    assert ["timeouts", "connect=5 s"] in [[name, value.strip()] for name, value in rows]
    assert json.loads(raw.stdout) == _ROW
    assert gateway.seen[0] == Seen("GET", _PATH, admin_header, None)


def test_the_list_has_all_pages_and_says_on_off_and_archived(invoke: Any) -> None:
    off, away = _ROW | {"name": "b", "is_enabled": False}, _ROW | {"name": "c", "archived_at": "2026-11-30T00:00:00Z"}
    answers = {
        "GET /api/v1/providers": (200, as_json({"data": [_ROW], "next_cursor": "n"})),
        "GET /api/v1/providers?cursor=n": (200, as_json({"data": [off, away], "next_cursor": None})),
    }
    with serving(answers) as gateway:
        listed = invoke("providers", "list", "--url", gateway.url)
        raw = invoke("providers", "list", "--json", "--url", gateway.url)
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [
        ["my/own", "openai", "on"],
        ["b", "openai", "off"],
        ["c", "openai", "archived"],
    ]
    assert "made by a person" in listed.stdout
    assert json.loads(raw.stdout) == {"data": [_ROW, off, away]}


@pytest.mark.parametrize(
    ("arguments", "seen", "said"),
    [
        (["archive", "my/own"], ("POST", f"{_PATH}/archive", None), "'my/own' is on.\n"),
        (["restore", "my/own"], ("POST", f"{_PATH}/restore", None), "'my/own' is on.\n"),
        (
            ["keys", "on", "my/own", "a/b"],
            ("PATCH", f"{_PATH}/keys/a%2Fb", {"is_enabled": True}),
            "The key 'a/b' of 'my/own' is on.\n",
        ),
        (
            ["keys", "off", "my/own", "a/b"],
            ("PATCH", f"{_PATH}/keys/a%2Fb", {"is_enabled": False}),
            "The key 'a/b' of 'my/own' is off.\n",
        ),
        (
            ["keys", "remove", "my/own", "a/b"],
            ("DELETE", f"{_PATH}/keys/a%2Fb", None),
            "Removed the key 'a/b'; 'my/own' has 2 left.\n",
        ),
        (
            ["keys", "add", "my/own", "third", "--api-key-stdin"],
            ("POST", f"{_PATH}/keys", {"name": "third", "api_key": "sk-third"}),
            "'my/own' has 2 keys, used in turn.\n",
        ),
    ],
    ids=["archive", "restore", "key on", "key off", "key removed", "key added"],
)
def test_a_provider_and_its_keys_are_switched(
    arguments: list[str], seen: tuple[str, str, Any], said: str, invoke: Any, admin_header: str
) -> None:
    method, path, body = seen
    with serving({f"{method} {path}": (200, as_json(_ROW))}) as gateway:
        done = invoke("providers", *arguments, "--url", gateway.url, text="sk-third\n")
        raw = invoke("providers", *arguments, "--json", "--url", gateway.url, text="sk-third\n")
    assert (done.stdout, json.loads(raw.stdout)) == (said, _ROW)
    assert gateway.seen == [Seen(method, path, admin_header, body)] * 2


def test_a_key_without_a_source_and_without_a_terminal_is_wrong_usage(invoke: Any) -> None:
    assert "--api-key-file" in _wrong(invoke, "providers", "keys", "add", "x", "second")


def test_a_refusal_is_the_sentence_of_the_gateway(invoke: Any) -> None:
    said = {
        "error": {"message": "There is no provider named 'x'; GET /api/v1/providers lists them.", "code": "missing"}
    }
    with serving({"POST /api/v1/providers/x/archive": (404, as_json(said))}) as gateway:
        error = invoke("providers", "archive", "x", "--url", gateway.url).exception
    assert isinstance(error, CommandError)
    assert (error.exit_code, "There is no provider named 'x'" in error.message) == (ExitCode.FAILED, True)


def test_a_provider_needs_a_kind(invoke: Any) -> None:
    done = invoke("providers", "create", "x")
    assert (done.exit_code, "--kind" in done.stderr) == (ExitCode.USAGE, True)
