"""Commands of the control plane: what they ask, and what they show."""

from __future__ import annotations

import json
from typing import Any

from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError, ExitCode

_APP = {
    "id": "a1",
    "name": "sh[o]p",
    "description": "the shop",
    "is_enabled": True,
    "allowed_models": None,
    "created_at": "2026-11-29T00:00:00Z",
}
_ENTRY: dict[str, Any] = {
    "sequence": 2, "at": "2026-11-29T00:00:00Z", "actor_name": "admin", "action": "changed", "resource": "apps",
    "resource_id": "a1", "before": {"name": "é"}, "after": None,
}  # fmt: skip


def failure(result: Any) -> CommandError:
    assert isinstance(result.exception, CommandError), result
    return result.exception


def test_an_app_is_made_listed_page_by_page_and_changed(invoke: Any, admin_header: str) -> None:
    other = _APP | {"id": "a2", "name": "other", "is_enabled": False}
    answers = {
        "POST /api/v1/apps": (201, as_json(_APP)),
        "GET /api/v1/apps": (200, as_json({"data": [_APP], "next_cursor": "c1"})),
        "GET /api/v1/apps?search=s&cursor=c1": (200, as_json({"data": [other], "next_cursor": None})),
        "PATCH /api/v1/apps/sh%5Bo%5Dp": (200, as_json(_APP | {"is_enabled": False})),
    }
    with serving(answers) as gateway:
        made = invoke("apps", "create", "sh[o]p", "--description", "the shop", "--url", gateway.url)
        listed = invoke("apps", "list", "--search", "s", "--url", gateway.url)
        raw = invoke("apps", "list", "--search", "s", "--json", "--url", gateway.url)
        changed = invoke("apps", "change", "sh[o]p", "--off", "--url", gateway.url)
    assert made.stdout == "Made 'sh[o]p' with the id a1.\n"
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        ["id", "name", "state"],
        ["a1", "sh[o]p", "on"],
        ["a2", "other", "off"],
    ]
    assert json.loads(raw.stdout) == {"data": [_APP, other]}
    assert changed.stdout == "'sh[o]p' is off.\n"
    assert gateway.seen[0] == Seen("POST", "/api/v1/apps", admin_header, {"name": "sh[o]p", "description": "the shop"})
    assert gateway.seen[-1] == Seen("PATCH", "/api/v1/apps/sh%5Bo%5Dp", admin_header, {"is_enabled": False})


def test_a_change_of_nothing_asks_nobody(invoke: Any) -> None:
    with serving({}) as gateway:
        result = invoke("apps", "change", "shop", "--url", gateway.url)
    error = failure(result)
    assert (error.exit_code, gateway.seen) == (ExitCode.USAGE, [])
    assert "--name" in error.message


def test_an_empty_name_asks_nobody(invoke: Any) -> None:
    result = invoke("apps", "change", "", "--off", "--url", "http://127.0.0.1:9")
    assert (result.exit_code, "an empty id or name" in result.stderr) == (ExitCode.USAGE, True)


def test_what_the_gateway_refuses_is_shown_in_its_words(invoke: Any) -> None:
    refusal = {"error": {"message": "There is another app named 'shop'; choose another name.", "code": "conflict"}}
    with serving({"POST /api/v1/apps": (409, as_json(refusal))}) as gateway:
        result = invoke("apps", "create", "shop", "--url", gateway.url)
    error = failure(result)
    assert error.exit_code == ExitCode.FAILED
    assert "another app named 'shop'" in error.message


def test_the_audit_is_listed_and_proven(invoke: Any, admin_header: str) -> None:
    answers = {
        "GET /api/v1/audit": (200, as_json({"data": [_ENTRY], "next_before": None})),
        "GET /api/v1/audit/proof": (200, as_json({"is_whole": True, "entries": 2, "broken_at": None})),
    }
    with serving(answers) as gateway:
        listed = invoke("audit", "list", "--resource", "apps", "--by", "admin", "--url", gateway.url)
        proven = invoke("audit", "prove", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split() == [
        "2", "2026-11-29T00:00:00Z", "admin", "changed", "apps", "a1", '{"name":', '"é"}',
    ]  # fmt: skip
    assert proven.stdout == "The audit is whole: 2 entries.\n"
    assert gateway.seen[0] == Seen("GET", "/api/v1/audit?resource=apps&actor=admin&limit=50", admin_header, None)


def test_an_audit_that_was_changed_ends_with_an_error(invoke: Any) -> None:
    broken = {"is_whole": False, "entries": 2, "broken_at": 2}
    with serving({"GET /api/v1/audit/proof": (200, as_json(broken))}) as gateway:
        said = invoke("audit", "prove", "--url", gateway.url)
        raw = invoke("audit", "prove", "--json", "--url", gateway.url)
    assert [failure(result).exit_code for result in (said, raw)] == [ExitCode.FAILED, ExitCode.FAILED]
    assert "entry 2 is not as it was written" in failure(said).message
    assert json.loads(raw.stdout) == broken
