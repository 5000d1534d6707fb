"""`llm-manager keys` beyond a plain key: what it may do, when it ends, and its successor."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError, ExitCode

_KEY: dict[str, Any] = {
    "id": "k1",
    "name": "ci",
    "app": "shop",
    "scopes": ["inference", "llm-manager:base:view"],
    "expires_at": "2099-01-01T00:00:00Z",
    "allowed_addresses": ["10.0.0.0/8", "::1/128"],
    "allowed_models": ["gpt-*"],
    "replaced_by": None,
    "revoked_at": None,
    "created_at": "2026-11-24T00:00:00Z",
    "prefix": "lm_live_k1",
}
_NEW = _KEY | {"id": "k2", "api_key": "lm_live_new"}
_ENDS = "2099-01-01T00:00:00Z"


def _create(invoke: Any, *options: str) -> Any:
    with serving({"POST /api/v1/keys": (201, as_json(_NEW))}) as gateway:
        invoke("keys", "create", "ci", *options, "--url", gateway.url)
    return gateway.seen[0].body


def test_a_key_is_made_with_all_that_it_may_do(invoke: Any) -> None:
    options = [
        *("--app", "shop", "--scope", "inference", "--scope", "llm-manager:base:view", "--expires", _ENDS),
        *("--allow-address", "10.0.0.0/8", "--allow-address", "::1", "--allow-model", "gpt-*"),
    ]
    assert _create(invoke, *options) == {
        "name": "ci",
        "app": "shop",
        "scopes": ["inference", "llm-manager:base:view"],
        "expires_at": _ENDS,
        "allowed_addresses": ["10.0.0.0/8", "::1"],
        "allowed_models": ["gpt-*"],
    }


@pytest.mark.parametrize(
    ("said", "span"), [("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))]
)
def test_an_end_may_be_said_as_a_span(said: str, span: timedelta, invoke: Any) -> None:
    before = datetime.now(UTC)
    ends = datetime.fromisoformat(_create(invoke, "--expires", said)["expires_at"])
    assert before + span <= ends <= datetime.now(UTC) + span


def test_a_span_after_all_times_is_wrong_usage(invoke: Any) -> None:
    result = invoke("keys", "create", "ci", "--expires", "999999w", "--url", "http://127.0.0.1:9")
    assert isinstance(result.exception, CommandError)
    assert result.exception.exit_code == ExitCode.USAGE


def test_a_key_is_shown_without_its_secret(invoke: Any, admin_header: str) -> None:
    with serving({"GET /api/v1/keys/k1": (200, as_json(_KEY))}) as gateway:
        shown = invoke("keys", "show", "k1", "--url", gateway.url)
        raw = invoke("keys", "show", "k1", "--json", "--url", gateway.url)
    rows = dict(line.split(maxsplit=1) for line in shown.stdout.replace("begins with", "prefix").splitlines())
    assert (rows["prefix"].strip(), rows["scopes"].strip()) == ("lm_live_k1", "inference llm-manager:base:view")
    assert (rows["addresses"].strip(), rows["models"].strip()) == ("10.0.0.0/8 ::1/128", "gpt-*")
    assert (rows["state"].strip(), rows["expires"].strip()) == ("active", _ENDS)
    assert json.loads(raw.stdout) == _KEY
    assert gateway.seen[0] == Seen("GET", "/api/v1/keys/k1", admin_header, None)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expired"),
        ({"replaced_by": "k2"}, "replaced"),
        ({"revoked_at": "2026-11-25T00:00:00Z"}, "revoked"),
    ],
)
def test_the_state_says_why_a_key_is_of_no_use(change: dict[str, str], state: str, invoke: Any) -> None:
    page = {"data": [_KEY | change], "next_cursor": None}
    with serving({"GET /api/v1/keys": (200, as_json(page))}) as gateway:
        listed = invoke("keys", "list", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split()[3] == state


def test_a_key_is_rotated_with_an_overlap(invoke: Any, admin_header: str) -> None:
    with serving({"POST /api/v1/keys/k1/rotate": (201, as_json(_NEW))}) as gateway:
        made = invoke("keys", "rotate", "k1", "--url", gateway.url)
        raw = invoke("keys", "rotate", "k1", "--overlap", "0s", "--json", "--url", gateway.url)
    assert made.stdout == "lm_live_new\n\nKeep it now: it is not shown again. Its id is k2.\n"
    assert json.loads(raw.stdout) == _NEW
    assert gateway.seen == [
        Seen("POST", "/api/v1/keys/k1/rotate", admin_header, {"overlap_seconds": 86_400}),
        Seen("POST", "/api/v1/keys/k1/rotate", admin_header, {"overlap_seconds": 0}),
    ]


def test_an_overlap_that_is_no_span_is_wrong_usage(invoke: Any) -> None:
    result = invoke("keys", "rotate", "k1", "--overlap", "soon", "--url", "http://127.0.0.1:9")
    assert isinstance(result.exception, CommandError)
    assert result.exception.exit_code == ExitCode.USAGE
    assert "--overlap is a time like 24h" in result.exception.message
