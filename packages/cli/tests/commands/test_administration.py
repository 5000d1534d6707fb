from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError, ExitCode

_KEY = {
    "id": "k1",
    "name": "lap[top]",
    "app": "default",
    "scopes": ["inference"],
    "expires_at": None,
    "replaced_by": None,
    "revoked_at": None,
    "created_at": "2026-11-24T00:00:00Z",
}
_TOTALS = {
    "attempts": 1200,
    "failed_attempts": 2,
    "usage": {"input_total": 34567, "output_total": 89},
    "cost_usd": "0.000123450000",
    "unpriced_attempts": 1,
    "estimated_attempts": 3,
}


def test_a_key_is_made_shown_once_listed_and_revoked(invoke: Any, admin_header: str) -> None:
    answers = {
        "POST /api/v1/keys": (201, as_json(_KEY | {"api_key": "lm_live_new"})),
        "GET /api/v1/keys": (
            200,
            as_json({"data": [_KEY, _KEY | {"revoked_at": "2026-11-25T00:00:00Z"}], "next_cursor": None}),
        ),
        "DELETE /api/v1/keys/k1": (204, b""),
    }
    with serving(answers) as gateway:
        made = invoke("keys", "create", "laptop", "--url", gateway.url)
        listed = invoke("keys", "list", "--url", gateway.url)
        revoked = invoke("keys", "revoke", "k1", "--json", "--url", gateway.url)
    assert made.stdout == "lm_live_new\n\nKeep it now: it is not shown again. Its id is k1.\n"
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert rows == [
        ["id", "name", "app", "state", "scopes", "expires", "created"],
        ["k1", "lap[top]", "default", "active", "inference", "never", "2026-11-24T00:00:00Z"],
        ["k1", "lap[top]", "default", "revoked", "inference", "never", "2026-11-24T00:00:00Z"],
    ]
    assert json.loads(revoked.stdout) == {"id": "k1", "revoked": True}
    assert gateway.seen == [
        Seen("POST", "/api/v1/keys", admin_header, {"name": "laptop", "app": "default"}),
        Seen("GET", "/api/v1/keys?sort=-created", admin_header, None),
        Seen("DELETE", "/api/v1/keys/k1", admin_header, None),
    ]


def test_providers_are_listed_with_their_origin_and_a_kept_one_removed(invoke: Any, admin_header: str) -> None:
    kept = {"name": "groq", "kind": "groq", "base_url": "https://x/v1", "origin": "kept", "models": 9}
    kept |= {"variables": [], "kept_variables": ["GROQ_API_KEY"], "is_enabled": True, "archived_at": None}
    answers = {
        "GET /api/v1/providers": (200, as_json({"data": [kept], "next_cursor": None})),
        "GET /api/v1/providers/groq": (200, as_json(kept)),
        "DELETE /api/v1/providers/groq": (204, b""),
    }
    with serving(answers) as gateway:
        listed = invoke("providers", "list", "--url", gateway.url)
        raw = invoke("providers", "list", "--json", "--url", gateway.url)
        removed = invoke("providers", "remove", "groq", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split() == [
        "groq",
        "groq",
        "on",
        "9",
        "https://x/v1",
        "kept",
        "from",
        "before:",
        "GROQ_API_KEY",
    ]
    assert json.loads(raw.stdout) == {"data": [kept]}
    assert removed.stdout == "Removed groq; its variable brings it back at the next 'up'.\n"
    assert gateway.seen[-1] == Seen("DELETE", "/api/v1/providers/groq", admin_header, None)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """This machine stands in Berlin: +02:00 until 2026-10-25, +01:00 after."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_usage_top_shows_tokens_and_cost_and_passes_the_question_on(invoke: Any) -> None:
    answer = {"data": [{"key": "gpt-4o-mini", "name": "", "totals": _TOTALS}]}
    with serving({"GET /api/v1/usage/top": (200, as_json(answer))}) as gateway:
        shown = invoke("usage", "top", "--by", "provider", "--from", "2026-11-01T00:00:00+00:00", "--url", gateway.url)
        raw = invoke("usage", "top", "--json", "--order", "tokens", "--limit", "3", "--url", gateway.url)
    assert [line.split() for line in shown.stdout.splitlines()][1:] == [
        ["gpt-4o-mini", "1,200", "2", "34,567", "89", "0.000123450000", "1"]
    ]
    assert json.loads(raw.stdout) == answer
    assert gateway.seen[0].path.startswith("/api/v1/usage/top?by=provider&order=cost&limit=10&from=2026-1")
    assert gateway.seen[1].path == "/api/v1/usage/top?by=model&order=tokens&limit=3"


@pytest.mark.parametrize("by", ["app", "key"])
def test_usage_top_shows_names_and_ids_where_there_is_none(by: str, invoke: Any) -> None:
    rows = [("a1", "shop"), ("a2", ""), ("", "")]
    answer = {"data": [{"key": key, "name": name, "totals": _TOTALS} for key, name in rows]}
    with serving({"GET /api/v1/usage/top": (200, as_json(answer))}) as gateway:
        shown = invoke("usage", "top", "--by", by, "--url", gateway.url)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == [by, "shop", "a2", "-"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-11-28", "2026-11-28T00:00:00+01:00"),
        ("2026-07-01", "2026-07-01T00:00:00+02:00"),
        ("2026-11-28T14:30", "2026-11-28T14:30:00+01:00"),
        ("2026-11-28 14:30:05", "2026-11-28T14:30:05+01:00"),
        ("2026-11-28T14:30Z", "2026-11-28T15:30:00+01:00"),
        ("2026-11-28T14:30-05:00", "2026-11-28T20:30:00+01:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_a_time_without_a_zone_is_in_that_of_this_machine(text: str, sent: str, invoke: Any) -> None:
    with serving({"GET /api/v1/usage/total": (200, as_json({"data": _TOTALS}))}) as gateway:
        invoke("usage", "total", "--from", text, "--to", text, "--url", gateway.url)
    assert parse_qs(urlsplit(gateway.seen[0].path).query) == {"from": [sent], "to": [sent]}


@pytest.mark.parametrize("text", ["yesterday", "28.11.2026", "2026-11-31", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_said_with_one_that_is(text: str, invoke: Any) -> None:
    done = invoke("usage", "total", "--from", text)
    assert done.exit_code == ExitCode.USAGE
    assert "2026-11-28T14:30" in done.stderr


@pytest.mark.usefixtures("berlin")
def test_usage_errors_shows_what_failed_where(invoke: Any) -> None:
    failed = {"started_at": "2026-11-28T13:30:05Z", "request_id": "r1", "app_id": "a1", "app_name": "shop"}
    failed |= {"requested_model": "fast", "upstream_model": "gpt-5", "provider": "openai", "state": "error"}
    failed |= {"error_code": "provider_rate_limited", "upstream_status": 429}
    never = failed | {"request_id": "r2", "app_name": "", "upstream_model": "", "provider": "", "upstream_status": 0}
    answer = {"data": [failed, never], "next_page_token": "t"}
    with serving({"GET /api/v1/usage/errors": (200, as_json(answer))}) as gateway:
        shown = invoke("usage", "errors", "--limit", "2", "--url", gateway.url)
        raw = invoke("usage", "errors", "--json", "--from", "2026-11-28", "--url", gateway.url)
    assert [line.split() for line in shown.stdout.splitlines()[1:3]] == [
        ["2026-11-28", "14:30:05", "r1", "shop", "gpt-5", "openai", "provider_rate_limited", "429"],
        ["2026-11-28", "14:30:05", "r2", "a1", "fast", "-", "provider_rate_limited", "-"],
    ]
    assert "--limit shows more" in shown.stdout
    assert json.loads(raw.stdout) == answer
    assert [seen.path for seen in gateway.seen] == [
        "/api/v1/usage/errors?limit=2",
        "/api/v1/usage/errors?limit=20&from=2026-11-28T00%3A00%3A00%2B01%3A00",
    ]


def test_usage_errors_of_nothing_says_so(invoke: Any) -> None:
    nothing: dict[str, Any] = {"data": [], "next_page_token": ""}
    with serving({"GET /api/v1/usage/errors": (200, as_json(nothing))}) as gateway:
        assert invoke("usage", "errors", "--url", gateway.url).stdout == "Nothing failed in this time.\n"


def test_usage_top_of_nothing_says_so(invoke: Any) -> None:
    with serving({"GET /api/v1/usage/top": (200, as_json({"data": []}))}) as gateway:
        assert invoke("usage", "top", "--url", gateway.url).stdout == "Nothing was recorded in this time.\n"


def test_usage_total_says_what_it_does_not_know(invoke: Any) -> None:
    with serving({"GET /api/v1/usage/total": (200, as_json({"data": _TOTALS}))}) as gateway:
        shown = invoke("usage", "total", "--url", gateway.url)
        raw = invoke("usage", "total", "--json", "--to", "2026-12-01", "--url", gateway.url)
    assert "1 attempts have no known price, so the cost is a lower bound." in shown.stdout
    assert "3 attempts were counted here" in shown.stdout
    assert json.loads(raw.stdout)["data"] == _TOTALS


def test_a_refusal_without_a_body_in_our_shape_is_still_shown(invoke: Any) -> None:
    with serving({"GET /api/v1/keys": (502, b"<html>bad gateway</html>")}) as gateway:
        done = invoke("keys", "list", "--url", gateway.url)
    assert isinstance(done.exception, CommandError)
    assert done.exception.message == "The gateway answered 502: <html>bad gateway</html>"
