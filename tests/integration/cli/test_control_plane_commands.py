"""The commands of the control plane against a running product, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.testing.stack import Stack, running_stack, wait_until

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


def held(stack: Stack, key: str, model: str, *, context: str = "") -> dict[str, Any]:
    """Ask, and return the parameters that the log says held for the call."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"authorization": f"Bearer {key}", **({"x-llm-manager-context": context} if context else {})}
    answer = httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text

    def told() -> list[dict[str, Any]]:
        lines = [line for line in stack.log_of("gateway").splitlines() if '"request_answered"' in line]
        return [one for one in map(json.loads, lines) if one["request_id"] == answer.headers["x-request-id"]]

    wait_until(lambda: bool(told()), timeout_seconds=10, what="the line of the request in the log")
    parameters: dict[str, Any] = told()[0].get("parameters", {})
    return parameters


def test_an_override_is_made_changed_and_removed_and_the_next_chat_obeys(stack: Stack) -> None:
    model = ("--provider", "echo", "--model", "echo", "--parameter", "temperature=0.2", "--parameter", "seed=1")
    said(stack, "models", "create", "tuned", *model)
    said(stack, "apps", "create", "desk")
    key = asked(stack, "keys", "create", "bell", "--app", "desk")["api_key"]
    everything = ("--app", "desk", "--model", "tuned", "--context", "review", "--strategy", "replace")
    everything += ("--parameter", "top_p=0.5", "--priority", "-5", "--description", "for reviews", "--on")
    made = asked(stack, "overrides", "create", "careful", *everything)
    assert {name: made[name] for name in ("app", "configuration", "context", "parameters", "strategy")} == {
        "app": "desk",
        "configuration": "tuned",
        "context": "review",
        "parameters": {"top_p": 0.5},
        "strategy": "replace",
    }
    assert (made["priority"], made["description"], made["is_enabled"]) == (-5, "for reviews", True)
    assert held(stack, key, "tuned", context="review") == {"top_p": 0.5}
    assert held(stack, key, "tuned") == {"temperature": 0.2, "seed": 1}
    clears = ("--clear", "context", "--clear", "model", "--clear", "description")
    change = ("overrides", "change", made["id"])
    assert "is on" in said(stack, *change, *clears, "--strategy", "merge", "--parameter", "seed=7", "--priority", "3")
    assert held(stack, key, "tuned") == {"temperature": 0.2, "seed": 7}
    assert held(stack, key, "echo/echo") == {"seed": 7}
    shown = " ".join(said(stack, "overrides", "show", made["id"]).split())
    assert ('parameters {"seed": 7}' in shown, "model all context any strategy merge priority 3" in shown) == (
        True,
        True,
    )
    said(stack, *change, "--off", "--name", "calm", "--clear", "parameters")
    assert held(stack, key, "tuned") == {"temperature": 0.2, "seed": 1}
    listed = [
        [row["name"] for row in asked(stack, "overrides", "list", *options)["data"]]
        for options in (("--app", "desk"), ("--app", "default"), ("--search", "AL", "--off"), ("--on",))
    ]
    assert listed == [["calm"], [], ["calm"], []]
    assert made["id"] in said(stack, "overrides", "list", "--sort", "-created")
    assert "temperature" in refused(stack, 1, *change, "--parameter", "temperature=3")
    assert "'nobody'" in refused(stack, 1, "overrides", "create", "x", "--app", "nobody", "--parameter", "seed=1")
    again = ("calm", "--app", "desk", "--parameter", "seed=1")
    assert "another override" in refused(stack, 1, "overrides", "create", *again)
    assert "--parameter" in refused(stack, 2, "overrides", "create", "x", "--app", "desk")
    said(stack, "overrides", "remove", made["id"])
    assert "no override" in refused(stack, 1, "overrides", "show", made["id"])
    told = [(entry["action"], entry["resource"]) for entry in asked(stack, "audit", "list")["data"]]
    assert {(action, "overrides") for action in ("created", "changed", "deleted")} <= set(told)


def test_packages_go_out_and_come_in_and_what_is_wrong_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    assert "openai-starter" in said(stack, "packages", "list")
    tried = said(stack, "packages", "install", "mistral-starter", "--dry-run")
    assert ("Nothing was written" in tried, "mistral-fast" in tried) == (True, True)
    assert "mistral-fast" not in said(stack, "models", "list")
    assert "needs an API key" in said(stack, "packages", "install", "mistral-starter")
    assert "installed" in next(line for line in said(stack, "packages", "list").splitlines() if "mistral" in line)
    file = tmp_path / "out.json"
    said(stack, "packages", "export", str(file), "--name", "mine")
    package = json.loads(file.read_text())
    assert {"mistral-fast", "mistral-best"} <= {one["name"] for one in package["configurations"]}
    said(stack, "models", "change", "mistral-fast", "--description", "by hand")
    assert "--force" in said(stack, "packages", "import", str(file))
    done = asked(stack, "packages", "import", str(file), "--force")
    assert done["statistics"]["configurations"]["changed"] == 1
    package["aliases"].append({"name": "nowhere", "configuration": "nobody"})
    package["apps"].append({"name": "made by mistake"})
    file.write_text(json.dumps(package))
    assert "'nobody'" in refused(stack, 1, "packages", "import", str(file))
    assert "made by mistake" not in said(stack, "apps", "list")
    assert "is no JSON" in refused(stack, 2, "packages", "import", "/dev/null")


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
