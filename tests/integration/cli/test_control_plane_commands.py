"""The commands of the control plane against a running product, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.testing.stack import Stack, running_stack

KEY = "sk-canary-0123456789-wxyz"
PASSWORD = "a sentence that nobody guesses"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    with running_stack(tmp_path_factory.mktemp("commands"), environment={}) as running:
        yield running


def said(stack: Stack, *arguments: str) -> str:
    done = stack.run(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), arguments
    return done.stdout


def asked(stack: Stack, *arguments: str) -> Any:
    return json.loads(said(stack, *arguments, "--json"))


def refused(stack: Stack, code: int, *arguments: str) -> str:
    done = stack.run(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), arguments
    return done.stderr


def chat(stack: Stack, key: str, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"authorization": f"Bearer {key}"}
    return httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=20).status_code


def test_a_model_an_app_and_a_key_are_made_and_the_next_chat_obeys(stack: Stack) -> None:
    model = ("--provider", "echo", "--model", "echo", "--parameter", "temperature=0.2", "--tag", "team=search")
    made = asked(stack, "models", "create", "quick", *model)
    assert (made["is_enabled"], made["default_parameters"], made["tags"]) == (
        True,
        {"temperature": 0.2},
        {"team": "search"},
    )
    said(stack, "aliases", "create", "best", "--model", "quick")
    assert asked(stack, "apps", "create", "shop", "--allow-model", "best")["allowed_models"] == ["best"]
    key = asked(stack, "keys", "create", "till", "--app", "shop")["api_key"]
    assert [chat(stack, key, model) for model in ("best", "quick", "echo/echo")] == [200, 403, 403]
    assert "off" in said(stack, "models", "change", "quick", "--off")
    assert chat(stack, key, "best") == 409
    said(stack, "models", "change", "quick", "--on", "--clear", "tags")
    said(stack, "apps", "change", "shop", "--allow-all-models")
    assert [chat(stack, key, model) for model in ("best", "quick", "echo/echo")] == [200, 200, 200]
    shown = said(stack, "models", "show", "quick")
    assert ("temperature" in shown, "team=search" in shown) == (True, False)
    assert "quick" in said(stack, "models", "list")
    assert "still named" in refused(stack, 1, "models", "remove", "quick")
    said(stack, "aliases", "remove", "best")
    said(stack, "models", "remove", "quick")
    assert chat(stack, key, "quick") == 404
    told = [(entry["action"], entry["resource"]) for entry in asked(stack, "audit", "list")["data"]]
    assert {("created", "configurations"), ("deleted", "configurations"), ("created", "aliases")} <= set(told)


def test_a_provider_gets_its_key_from_a_file_and_shows_only_its_end(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    where = ("--kind", "custom", "--base-url", "http://127.0.0.1:9/v1", "--api-key-file", str(file))
    said(stack, "providers", "create", "mine", *where, "--header", "x-team=search", "--timeout", "connect=2.5")
    shown = said(stack, "providers", "show", "mine")
    assert ("…wxyz" in shown, KEY in shown, "x-team=search" in shown, "connect=2.5 s" in shown) == (
        True,
        False,
        True,
        True,
    )
    file.write_text("another-key-that-is-long\n")
    said(stack, "providers", "keys", "add", "mine", "second", "--api-key-file", str(file))
    said(stack, "providers", "keys", "off", "mine", "second")
    keys = asked(stack, "providers", "show", "mine")["api_keys"]
    assert [(key["name"], key["is_enabled"]) for key in keys] == [("default", True), ("second", False)]
    said(stack, "providers", "keys", "remove", "mine", "second")
    assert "archived" in said(stack, "providers", "archive", "mine")
    said(stack, "providers", "restore", "mine")
    elsewhere = refused(stack, 1, "providers", "change", "mine", "--base-url", "https://elsewhere.example/v1")
    assert "another host" in elsewhere
    assert "--clear does not know" in refused(stack, 2, "providers", "change", "mine", "--clear", "colour")
    assert "name=value" in refused(stack, 2, "providers", "change", "mine", "--header", "nonsense")
    said(stack, "providers", "remove", "mine")
    assert "no provider 'mine'" in refused(stack, 1, "providers", "show", "mine")


def test_a_user_is_made_and_logged_out(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    made = asked(stack, "users", "create", "ann", "--role", "developer", "--password-file", str(file))
    assert (made["roles"], PASSWORD in json.dumps(made)) == (["developer"], False)
    session = {"name": "ann", "password": PASSWORD}
    assert httpx2.post(f"{stack.origin}/api/v1/session", json=session).status_code == 200
    assert asked(stack, "users", "sessions", "ann")["data"]
    said(stack, "users", "end-sessions", "ann")
    assert asked(stack, "users", "sessions", "ann")["data"] == []
    assert asked(stack, "users", "change", "ann", "--off")["is_enabled"] is False
    assert httpx2.post(f"{stack.origin}/api/v1/session", json=session).status_code == 401
    assert "ann" in said(stack, "users", "list")
    file.write_text("short\n")
    weak = refused(stack, 1, "users", "create", "bob", "--role", "developer", "--password-file", str(file))
    assert "password" in weak
    assert "short" not in weak.replace("too short", "").replace("shorter", "")
