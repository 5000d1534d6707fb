"""`llm-manager overrides`: what is sent, and what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError, ExitCode

_OVERRIDE: dict[str, Any] = {
    "id": "o1",
    "name": "careful",
    "app": "shop",
    "configuration": "org/fast",
    "context": "review",
    "parameters": {"temperature": 0.2, "stop": ["é"]},
    "strategy": "deep_merge",
    "priority": -5,
    "description": "for reviews",
    "is_enabled": True,
    "created_at": "2026-11-29T00:00:00Z",
}
_WIDE = _OVERRIDE | {"id": "o2", "name": "wide", "configuration": None, "context": "", "description": "", "priority": 0}
_ROW = ["o1", "careful", "shop", "org/fast", "review", "deep_merge", "-5"]
_EVERYTHING = [
    *("--parameter", "temperature=0.2", "--parameter", 'stop=["a=b"]', "--model", "org/fast", "--context", "review"),
    *("--strategy", "deep_merge", "--priority", "-5", "--description", "for reviews", "--off"),
]
_SENT = {
    "parameters": {"temperature": 0.2, "stop": ["a=b"]},
    "configuration": "org/fast",
    "context": "review",
    "strategy": "deep_merge",
    "priority": -5,
    "description": "for reviews",
    "is_enabled": False,
}
_PATH = "/api/v1/overrides"
_NOWHERE = "http://127.0.0.1:9"


def _call(invoke: Any, answer: tuple[str, Any], *arguments: str) -> tuple[Any, list[Seen]]:
    with serving({answer[0]: (200, as_json(answer[1]))}) as gateway:
        done = invoke("overrides", *arguments, "--url", gateway.url)
    assert done.exception is None, (done.exception, done.stderr)
    return done, gateway.seen


def test_an_override_is_made_with_every_field(invoke: Any, admin_header: str) -> None:
    post = (f"POST {_PATH}", _OVERRIDE)
    made, seen = _call(invoke, post, "create", "careful", "--app", "shop", *_EVERYTHING)
    assert seen == [Seen("POST", _PATH, admin_header, {"name": "careful", "app": "shop", **_SENT})]
    assert made.stdout == "Made 'careful' with the id o1; it is on.\n"
    raw, seen = _call(invoke, post, "create", "a", "--app", "shop", "--parameter", "seed=1", "--json")
    body = {"name": "a", "app": "shop", "parameters": {"seed": 1}, "strategy": "merge", "priority": 0}
    assert (json.loads(raw.stdout), seen[0].body) == (_OVERRIDE, body)


def test_replacing_by_nothing_is_an_override_too(invoke: Any) -> None:
    replacing = ["create", "bare", "--app", "shop", "--strategy", "replace"]
    _, seen = _call(invoke, (f"POST {_PATH}", _OVERRIDE), *replacing)
    assert (seen[0].body["parameters"], seen[0].body["strategy"]) == ({}, "replace")


def test_a_change_of_an_override_sends_what_was_said_and_cleared(invoke: Any, admin_header: str) -> None:
    patch = (f"PATCH {_PATH}/o%2F1", _OVERRIDE | {"is_enabled": False})
    done, seen = _call(invoke, patch, "change", "o/1", "--off")
    assert done.stdout == "'careful' of 'shop' is off.\n"
    assert seen == [Seen("PATCH", f"{_PATH}/o%2F1", admin_header, {"is_enabled": False})]
    raw, seen = _call(invoke, patch, "change", "o/1", "--name", "n", *_EVERYTHING, "--json")
    assert (json.loads(raw.stdout), seen[0].body) == (patch[1], {"name": "n", **_SENT})
    clears = [word for field in ("description", "context", "model", "parameters") for word in ("--clear", field)]
    _, seen = _call(invoke, patch, "change", "o/1", *clears, "--priority", "0")
    nulls = dict.fromkeys(("description", "context", "configuration"))
    assert seen[0].body == {**nulls, "parameters": {}, "priority": 0}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["change", "o1", "--parameter", "temperature"], "--parameter is written as name=value"),
        (["change", "o1", "--parameter", "stop=end"], "--parameter stop is no JSON"),
        (["change", "o1", "--clear", "app"], "--clear does not know 'app'; it takes context, description, model"),
        (["change", "o1", "--clear", "context", "--context", "a"], "context is both said and cleared"),
        (["change", "o1", "--clear", "parameters", "--parameter", "n=1"], "parameters is both said and cleared"),
        (["change", "o1"], "Say what to change: --parameter"),
        (["create", "x", "--app", "shop"], "Say what calls get, such as --parameter"),
        (["create", "x", "--app", "shop", "--strategy", "deep_merge"], "only --strategy replace"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_meant_of_an_override_is_wrong_usage(arguments: list[str], why: str, invoke: Any) -> None:
    error = invoke("overrides", *arguments, "--url", _NOWHERE).exception
    assert isinstance(error, CommandError), error
    assert (error.exit_code, why in error.message) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "x", "--parameter", "seed=1"], "--app"),
        (["create", "x", "--app", "shop", "--strategy", "guess"], "deep_merge"),
        (["change", "o1", "--priority", "1000001"], "1000000"),
        (["list", "--sort", "priority"], "-created"),
    ],
    ids=["app", "strategy", "priority", "sort"],
)
def test_what_an_option_takes_is_said(arguments: list[str], said: str, invoke: Any) -> None:
    done = invoke("overrides", *arguments, "--url", _NOWHERE)
    assert (done.exit_code, said in done.stderr) == (ExitCode.USAGE, True)


def test_overrides_are_listed_page_by_page(invoke: Any, admin_header: str) -> None:
    query = "search=c&app=shop&is_enabled=true&sort=-created"
    answers = {
        f"GET {_PATH}?{query}": (200, as_json({"data": [_OVERRIDE], "next_cursor": "n"})),
        f"GET {_PATH}?{query}&cursor=n": (200, as_json({"data": [_WIDE | {"is_enabled": False}], "next_cursor": None})),
    }
    asked = ["overrides", "list", "--search", "c", "--app", "shop", "--on", "--sort", "-created"]
    with serving(answers) as gateway:
        listed = invoke(*asked, "--url", gateway.url)
        raw = invoke(*asked, "--json", "--url", gateway.url)
    parameters = ['{"temperature":', "0.2,", '"stop":', '["é"]}']
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["id", "name", "app", "model", "context", "strategy", "priority", "parameters", "state"],
        [*_ROW, *parameters, "on"],
        ["o2", "wide", "shop", "all", "any", "deep_merge", "0", *parameters, "off"],
    ]
    assert json.loads(raw.stdout) == {"data": [_OVERRIDE, _WIDE | {"is_enabled": False}]}
    assert gateway.seen[0].authorization == admin_header


def test_a_list_of_all_asks_for_all(invoke: Any) -> None:
    page = (f"GET {_PATH}", {"data": [_OVERRIDE], "next_cursor": None})
    _, seen = _call(invoke, page, "list")
    assert seen[0].path == f"{_PATH}?sort=name"
    _, seen = _call(invoke, page, "list", "--off")
    assert seen[0].path == f"{_PATH}?sort=name&is_enabled=false"


def test_an_override_is_shown_with_what_is_set(invoke: Any) -> None:
    shown, _ = _call(invoke, (f"GET {_PATH}/o1", _OVERRIDE), "show", "o1")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    wanted = ["id o1", "model org/fast", "context review", "priority -5", "strategy deep_merge", "state on"]
    wanted += ['parameters {"temperature": 0.2, "stop": ["é"]}', "description for reviews"]
    assert [line for line in wanted if line not in lines] == []
    shown, _ = _call(invoke, (f"GET {_PATH}/o2", _WIDE), "show", "o2")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert [line for line in ("model all", "context any", "priority 0") if line not in lines] == []
    assert [line for line in lines if line.startswith("description")] == []
    raw, _ = _call(invoke, (f"GET {_PATH}/o1", _OVERRIDE), "show", "o1", "--json")
    assert json.loads(raw.stdout) == _OVERRIDE


def test_an_override_is_removed_by_its_id(invoke: Any, admin_header: str) -> None:
    with serving({f"DELETE {_PATH}/o1": (204, b"")}) as gateway:
        done = invoke("overrides", "remove", "o1", "--url", gateway.url)
        raw = invoke("overrides", "remove", "o1", "--json", "--url", gateway.url)
    assert done.stdout == "Removed o1.\n"
    assert json.loads(raw.stdout) == {"id": "o1", "removed": True}
    assert gateway.seen == [Seen("DELETE", f"{_PATH}/o1", admin_header, None)] * 2


def test_a_refusal_of_an_override_is_the_sentence_of_the_gateway(invoke: Any) -> None:
    said = {"error": {"message": "app: there is none of the id or the name 'nobody'.", "code": "not_found"}}
    with serving({f"POST {_PATH}": (404, as_json(said))}) as gateway:
        asked = ["create", "a", "--app", "nobody", "--parameter", "seed=1"]
        error = invoke("overrides", *asked, "--url", gateway.url).exception
    assert isinstance(error, CommandError)
    assert (error.exit_code, "'nobody'" in error.message) == (ExitCode.FAILED, True)
