from __future__ import annotations

import json
from typing import Any

from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError

_KEY = {"id": "k1", "name": "lap[top]", "app": "default", "created_at": "2026-11-24T00:00:00Z", "revoked_at": None}
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
        "GET /api/v1/keys": (200, as_json({"data": [_KEY, _KEY | {"revoked_at": "2026-11-25T00:00:00Z"}]})),
        "DELETE /api/v1/keys/k1": (204, b""),
    }
    with serving(answers) as gateway:
        made = invoke("keys", "create", "laptop", "--url", gateway.url)
        listed = invoke("keys", "list", "--url", gateway.url)
        revoked = invoke("keys", "revoke", "k1", "--json", "--url", gateway.url)
    assert made.stdout == "lm_live_new\n\nKeep it now: it is not shown again. Its id is k1.\n"
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert rows == [
        ["id", "name", "app", "state", "created"],
        ["k1", "lap[top]", "default", "active", "2026-11-24T00:00:00Z"],
        ["k1", "lap[top]", "default", "revoked", "2026-11-24T00:00:00Z"],
    ]
    assert json.loads(revoked.stdout) == {"id": "k1", "revoked": True}
    assert gateway.seen == [
        Seen("POST", "/api/v1/keys", admin_header, {"name": "laptop", "app": "default"}),
        Seen("GET", "/api/v1/keys", admin_header, None),
        Seen("DELETE", "/api/v1/keys/k1", admin_header, None),
    ]


def test_providers_are_listed_with_their_origin_and_a_kept_one_removed(invoke: Any, admin_header: str) -> None:
    kept = {"name": "groq", "kind": "groq", "base_url": "https://x/v1", "origin": "kept", "models": 9}
    kept |= {"variables": [], "kept_variables": ["GROQ_API_KEY"]}
    answers = {
        "GET /api/v1/providers": (200, as_json({"data": [kept]})),
        "DELETE /api/v1/providers/groq": (204, b""),
    }
    with serving(answers) as gateway:
        listed = invoke("providers", "list", "--url", gateway.url)
        raw = invoke("providers", "list", "--json", "--url", gateway.url)
        removed = invoke("providers", "remove", "groq", "--url", gateway.url)
    assert listed.stdout.splitlines()[1].split() == [
        "groq",
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


def test_usage_top_shows_tokens_and_cost_and_passes_the_question_on(invoke: Any) -> None:
    answer = {"data": [{"key": "gpt-4o-mini", "totals": _TOTALS}]}
    with serving({"GET /api/v1/usage/top": (200, as_json(answer))}) as gateway:
        shown = invoke("usage", "top", "--by", "provider", "--from", "2026-11-01", "--url", gateway.url)
        raw = invoke("usage", "top", "--json", "--order", "tokens", "--limit", "3", "--url", gateway.url)
    assert [line.split() for line in shown.stdout.splitlines()][1:] == [
        ["gpt-4o-mini", "1,200", "2", "34,567", "89", "0.000123450000", "1"]
    ]
    assert json.loads(raw.stdout) == answer
    assert [seen.path for seen in gateway.seen] == [
        "/api/v1/usage/top?by=provider&order=cost&limit=10&from=2026-11-01",
        "/api/v1/usage/top?by=model&order=tokens&limit=3",
    ]


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
