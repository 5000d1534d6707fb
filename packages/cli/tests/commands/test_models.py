"""`llm-manager models`, `aliases` and the models of `apps`: what is sent, and what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError, ExitCode

_MODEL: dict[str, Any] = {
    "id": "c1",
    "name": "org/fast",
    "provider": "echo",
    "upstream_model": "echo-1",
    "app": None,
    "is_enabled": True,
    "is_default": True,
    "title": "",
    "description": "quick",
    "default_parameters": {"temperature": 0.2},
    "adapts_parameters": True,
    "capabilities": None,
    "context_window": 8192,
    "max_output_tokens": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "use_cases": ["summaries"],
    "tags": {"team": "search"},
}
_ALIAS: dict[str, Any] = {
    "id": "l1",
    "name": "best",
    "configuration": "org/fast",
    "description": "",
    "is_enabled": True,
}
_APP: dict[str, Any] = {
    "id": "a1", "name": "shop", "description": "", "is_enabled": True, "allowed_models": ["fast", "gpt-*"],
    "created_at": "2026-11-29T00:00:00Z",
}  # fmt: skip
_PATH = "/api/v1/configurations/org%2Ffast"
_NOWHERE = "http://127.0.0.1:9"
_EVERYTHING = [
    *("--model", "echo-1", "--title", "Fast", "--description", "quick", "--app", "shop", "--default", "--on"),
    *("--parameter", "temperature=0.2", "--parameter", 'stop=["a=b"]', "--adapts-parameters", "--capability", "tools"),
    *("--capability", "images", "--context-window", "8192", "--max-output-tokens", "100", "--rpm", "60"),
    *("--tpm", "1000", "--use-case", "summaries", "--tag", "team=search"),
]
_SENT = {
    "upstream_model": "echo-1",
    "title": "Fast",
    "description": "quick",
    "app": "shop",
    "is_default": True,
    "is_enabled": True,
    "default_parameters": {"temperature": 0.2, "stop": ["a=b"]},
    "adapts_parameters": True,
    "capabilities": ["tools", "images"],
    "context_window": 8192,
    "max_output_tokens": 100,
    "requests_per_minute": 60,
    "tokens_per_minute": 1000,
    "use_cases": ["summaries"],
    "tags": {"team": "search"},
}


def _call(invoke: Any, answer: tuple[str, Any], *arguments: str) -> tuple[Any, list[Seen]]:
    with serving({answer[0]: (200, as_json(answer[1]))}) as gateway:
        done = invoke(*arguments, "--url", gateway.url)
    assert done.exception is None, done.exception
    return done, gateway.seen


def _wrong(invoke: Any, *arguments: str) -> str:
    result = invoke(*arguments, "--url", _NOWHERE)
    assert isinstance(result.exception, CommandError), result.exception
    assert result.exception.exit_code == ExitCode.USAGE
    return result.exception.message


def test_a_model_is_made_with_all_that_is_known_about_it(invoke: Any, admin_header: str) -> None:
    answer = ("POST /api/v1/configurations", _MODEL)
    made, seen = _call(invoke, answer, "models", "create", "org/fast", "--provider", "echo", *_EVERYTHING)
    body = {"name": "org/fast", "provider": "echo", **_SENT}
    assert seen == [Seen("POST", "/api/v1/configurations", admin_header, body)]
    assert made.stdout == "Made 'org/fast'; it is on.\n"
    raw, seen = _call(invoke, answer, "models", "create", "a", "--provider", "echo", "--json")
    assert (json.loads(raw.stdout), seen[0].body) == (_MODEL, {"name": "a", "provider": "echo"})


def test_a_change_of_a_model_sends_what_was_said_and_cleared(invoke: Any) -> None:
    done, seen = _call(
        invoke, (f"PATCH {_PATH}", _MODEL | {"is_enabled": False}), "models", "change", "org/fast", "--off"
    )
    assert (done.stdout, seen[0].body) == ("'org/fast' is off.\n", {"is_enabled": False})
    said = ["--name", "n", "--provider", "p", *_EVERYTHING, "--json"]
    _, seen = _call(invoke, (f"PATCH {_PATH}", _MODEL), "models", "change", "org/fast", *said)
    assert seen[0].body == {"name": "n", "provider": "p", **_SENT}
    fields = ["title", "description", "app", "parameters", "capabilities", "context-window", "max-output-tokens"]
    clears = [word for field in [*fields, "rpm", "tpm", "use-cases", "tags"] for word in ("--clear", field)]
    _, seen = _call(invoke, (f"PATCH {_PATH}", _MODEL), "models", "change", "org/fast", *clears)
    assert seen[0].body == dict.fromkeys(
        _SENT.keys() - {"upstream_model", "is_default", "is_enabled", "adapts_parameters"}
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--parameter", "temperature"], "--parameter is written as name=value"),
        (["--parameter", "stop=end"], "--parameter stop is no JSON"),
        (["--parameter", "top_p=NaN"], "--parameter top_p is no JSON"),
        (["--parameter", "a=" + "[" * 100_000], "--parameter a is no JSON"),
        (["--tag", "=x"], "--tag is written as name=value"),
        (["--clear", "provider"], "--clear does not know 'provider'"),
        (["--clear", "tags", "--tag", "a=b"], "tags is both said and cleared"),
        ([], "Say what to change: --model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_meant_of_a_model_is_wrong_usage(options: list[str], why: str, invoke: Any) -> None:
    assert why in _wrong(invoke, "models", "change", "fast", *options)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["models", "create", "x"], "--provider"), (["aliases", "create", "x"], "--model")],
    ids=["model", "alias"],
)
def test_what_is_needed_is_named(arguments: list[str], option: str, invoke: Any) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, option in done.stderr) == (ExitCode.USAGE, True)


def test_models_are_listed_page_by_page(invoke: Any, admin_header: str) -> None:
    own = _MODEL | {"name": "own", "app": "shop", "is_enabled": False, "is_default": False}
    answers = {
        "GET /api/v1/configurations?search=o": (200, as_json({"data": [_MODEL], "next_cursor": "n"})),
        "GET /api/v1/configurations?search=o&cursor=n": (200, as_json({"data": [own], "next_cursor": None})),
    }
    with serving(answers) as gateway:
        listed = invoke("models", "list", "--search", "o", "--url", gateway.url)
        raw = invoke("models", "list", "--search", "o", "--json", "--url", gateway.url)
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["name", "provider", "model", "app", "state", "default"],
        ["org/fast", "echo", "echo-1", "all", "on", "yes"],
        ["own", "echo", "echo-1", "shop", "off"],
    ]
    assert json.loads(raw.stdout) == {"data": [_MODEL, own]}
    assert gateway.seen[0].authorization == admin_header


def test_a_model_is_shown_with_what_is_set(invoke: Any) -> None:
    shown, _ = _call(invoke, (f"GET {_PATH}", _MODEL), "models", "show", "org/fast")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    wanted = ['parameters {"temperature": 0.2}', "capabilities as its provider says", "context window 8192"]
    assert [line for line in [*wanted, "use cases summaries", "tags team=search"] if line not in lines] == []
    assert [line for line in lines if line.startswith(("title", "tokens a minute"))] == []
    raw, _ = _call(invoke, (f"GET {_PATH}", _MODEL), "models", "show", "org/fast", "--json")
    assert json.loads(raw.stdout) == _MODEL


@pytest.mark.parametrize(("command", "collection"), [("models", "configurations"), ("aliases", "aliases")])
def test_what_is_removed_is_gone_by_its_name(command: str, collection: str, invoke: Any, admin_header: str) -> None:
    path = f"/api/v1/{collection}/org%2Ffast"
    with serving({f"DELETE {path}": (204, b"")}) as gateway:
        done = invoke(command, "remove", "org/fast", "--url", gateway.url)
        raw = invoke(command, "remove", "org/fast", "--json", "--url", gateway.url)
    assert done.stdout == "Removed org/fast.\n"
    assert json.loads(raw.stdout) == {"name": "org/fast", "removed": True}
    assert gateway.seen == [Seen("DELETE", path, admin_header, None)] * 2


def test_an_alias_is_made_listed_and_changed(invoke: Any) -> None:
    post = ("POST /api/v1/aliases", _ALIAS)
    made, seen = _call(invoke, post, "aliases", "create", "best", "--model", "org/fast", "--description", "d", "--off")
    assert made.stdout == "Made 'best'; it stands for 'org/fast'.\n"
    assert seen[0].body == {"name": "best", "configuration": "org/fast", "description": "d", "is_enabled": False}
    page = ("GET /api/v1/aliases", {"data": [_ALIAS], "next_cursor": None})
    listed, _ = _call(invoke, page, "aliases", "list")
    assert listed.stdout.splitlines()[1].split() == ["best", "org/fast", "on"]
    raw, _ = _call(invoke, page, "aliases", "list", "--json")
    assert json.loads(raw.stdout) == {"data": [_ALIAS]}
    patch = ("PATCH /api/v1/aliases/best", _ALIAS)
    options = ["--name", "n", "--model", "m", "--clear", "description", "--on"]
    changed, seen = _call(invoke, patch, "aliases", "change", "best", *options)
    assert changed.stdout == "'best' stands for 'org/fast' and is on.\n"
    assert seen[0].body == {"name": "n", "configuration": "m", "description": None, "is_enabled": True}
    assert "Say what to change" in _wrong(invoke, "aliases", "change", "best")


def test_an_app_is_narrowed_to_models_and_opened_again(invoke: Any) -> None:
    narrowed = ["--allow-model", "fast", "--allow-model", "gpt-*"]
    _, seen = _call(invoke, ("POST /api/v1/apps", _APP), "apps", "create", "shop", *narrowed)
    assert seen[0].body == {"name": "shop", "description": "", "allowed_models": ["fast", "gpt-*"]}
    _, seen = _call(invoke, ("POST /api/v1/apps", _APP), "apps", "create", "shop", "--allow-all-models")
    assert seen[0].body == {"name": "shop", "description": ""}
    patch = ("PATCH /api/v1/apps/shop", _APP)
    _, seen = _call(invoke, patch, "apps", "change", "shop", "--allow-model", "fast")
    assert seen[0].body == {"allowed_models": ["fast"]}
    _, seen = _call(invoke, patch, "apps", "change", "shop", "--allow-all-models")
    assert seen[0].body == {"allowed_models": None}
    both = ["--allow-model", "fast", "--allow-all-models"]
    messages = [_wrong(invoke, "apps", command, "shop", *both) for command in ("create", "change")]
    assert all("both said" in message for message in messages)
    rows, _ = _call(invoke, ("GET /api/v1/apps", {"data": [_APP], "next_cursor": None}), "apps", "list")
    assert rows.stdout.splitlines()[1].split() == ["a1", "shop", "on", "fast,", "gpt-*", "2026-11-29T00:00:00Z"]


def test_a_refusal_of_a_model_is_the_sentence_of_the_gateway(invoke: Any) -> None:
    said = {"error": {"message": "There is another configuration named 'a'; choose another name.", "code": "conflict"}}
    with serving({"POST /api/v1/configurations": (409, as_json(said))}) as gateway:
        error = invoke("models", "create", "a", "--provider", "echo", "--url", gateway.url).exception
    assert isinstance(error, CommandError)
    assert (error.exit_code, "choose another name" in error.message) == (ExitCode.FAILED, True)
