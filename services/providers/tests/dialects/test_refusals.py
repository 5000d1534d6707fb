"""Whose a refusal is: of our credential (502), or of this request (the client's to read, with the provider's words)."""

from __future__ import annotations

import json

import pytest

from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.kit.secrets import Secret
from llm_manager.providers.dialects.upstream_errors import error_in_stream, error_of_answer

OURS, THEIRS = UpstreamCredentialsExhausted, UpstreamRefused
LEAKED = "Your API key was reported as leaked. Please use another API key."
BLOCKED = "Requests to this API generativelanguage.googleapis.com method google.ai.GenerateContent are blocked."
UNUSED = "Generative Language API has not been used in project 1 before or it is disabled. Enable it by visiting …"


def answered(
    kind: str, status: int, error: object, headers: dict[str, str] | None = None, *, is_bare: bool = False
) -> LlmManagerError:
    body = json.dumps(error if is_bare else {"error": error}).encode()
    return error_of_answer(load_facts()[kind], status=status, body=body, headers=headers or {})


def said(message: str, code: str | int | None = None, type_: str | None = None) -> dict[str, object]:
    return {"message": message, "code": code, "type": type_, "param": None}


REFUSALS: list[tuple[str, int, object, type[LlmManagerError]]] = [
    ("openai", 401, said("Whatever."), OURS),
    ("openai", 402, said("Whatever."), OURS),
    ("openai", 403, said("Country not supported", "unsupported_country_region_territory", "request_forbidden"), THEIRS),
    ("openai", 403, said("You are not allowed to sample from this model", None, "invalid_request_error"), THEIRS),
    ("openai", 403, said("Project `p` does not have access to model `m`", "model_not_found"), THEIRS),
    ("openai", 403, said("No.", "insufficient_permissions"), OURS),
    ("openai", 403, said("You have insufficient permissions for this operation. Missing scopes: model.request"), OURS),
    ("openai", 403, said("No.", "invalid_api_key"), OURS),
    ("custom", 403, said("Because."), THEIRS),
    ("custom", 403, said("Invalid API key given."), OURS),
    ("azure", 403, said("Access denied due to Virtual Network/Firewall rules.", "403"), OURS),
    ("azure", 403, said("The response was filtered.", "content_filter"), THEIRS),
    ("anthropic", 403, {"type": "permission_error", "message": "Your API key may not use this resource."}, OURS),
    ("anthropic", 403, {"type": "forbidden", "message": "Request not allowed"}, THEIRS),
    ("gemini", 400, {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Pass a valid."}, OURS),
    ("gemini", 400, {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key is no field of Part."}, THEIRS),
    ("gemini", 400, {"status": "FAILED_PRECONDITION", "message": "User location is not supported."}, THEIRS),
    ("gemini", 403, {"code": 403, "status": "PERMISSION_DENIED", "message": LEAKED}, OURS),
    ("gemini", 403, {"code": 403, "status": "PERMISSION_DENIED", "message": BLOCKED}, OURS),
    ("gemini", 403, {"code": 403, "status": "PERMISSION_DENIED", "message": UNUSED}, OURS),
    ("gemini", 403, {"code": 403, "status": "PERMISSION_DENIED", "message": "The model is not allowed."}, THEIRS),
    ("groq", 403, said("Blocked at organization level", "model_permission_blocked_org", "permissions_error"), THEIRS),
    ("groq", 400, said("Organization has been restricted. Reach out.", "organization_restricted"), OURS),
    ("openrouter", 403, said("Your input was flagged", 403), THEIRS),
    ("openrouter", 403, said("Key limit exceeded (total limit). Manage it in the settings.", 403), OURS),
    ("openai", 400, said("Invalid API key format in the tool's description.", "invalid_value"), THEIRS),
]


@pytest.mark.requirement("L-28")
@pytest.mark.parametrize(("kind", "status", "error", "kind_of_error"), REFUSALS, ids=str)
def test_a_refusal_is_of_the_credential_only_where_the_facts_say_so(
    kind: str, status: int, error: dict[str, object], kind_of_error: type[LlmManagerError]
) -> None:
    found = answered(kind, status, error)

    assert type(found) is kind_of_error
    assert found.http_status == (502 if kind_of_error is OURS else status)
    if kind_of_error is THEIRS:
        assert str(found) == error["message"]
        assert found.upstream is not None
        assert found.upstream.code in (str(error.get("code")), "")


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("anthropic", 400, {"type": "invalid_request_error", "message": "prompt is too long: 2 tokens > 1 maximum"}),
        (
            "gemini",
            400,
            {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (9) exceeds the …"},
        ),
        ("custom", 400, said("This model's maximum context length is 4096 tokens.", 400, "BadRequestError")),
        ("llamacpp", 400, said("the request exceeds the available context size", 400, "exceed_context_size_error")),
        ("openai", 400, said("Your input exceeds the context window of this model.", "context_length_exceeded")),
    ],
    ids=str,
)
def test_a_prompt_that_is_too_long_has_the_code_that_clients_look_for(
    kind: str, status: int, error: dict[str, object]
) -> None:
    found = answered(kind, status, error)
    assert (type(found), found.http_status, str(found)) == (THEIRS, status, error["message"])
    assert found.upstream is not None
    assert (found.upstream.code, found.upstream.type) == (
        "context_length_exceeded",
        str(error.get("type") or "") or found.upstream.type,
    )


def test_mistral_and_cohere_say_it_at_the_top_of_the_document() -> None:
    for kind in ("mistral", "cohere"):
        moderated = answered(kind, 403, {"message": "The request was moderated."}, is_bare=True)
        assert (type(moderated), str(moderated)) == (THEIRS, "The request was moderated.")


@pytest.mark.parametrize(
    ("status", "kind_of_error", "http_status", "is_retryable"),
    [(408, UpstreamTimeout, 504, True), (409, UpstreamRefused, 409, True), (429, ProviderRateLimited, 429, True)],
)
def test_a_timeout_and_a_conflict_are_no_limits_of_rates(
    status: int, kind_of_error: type[LlmManagerError], http_status: int, is_retryable: bool
) -> None:
    found = answered("openai", status, said("Later.", "lock"), {"retry-after": "3"})

    assert type(found) is kind_of_error
    assert (found.http_status, found.retryable, found.retry_after_seconds) == (http_status, is_retryable, 3.0)
    assert found.upstream is not None
    assert (found.upstream.http_status, found.upstream.code) == (status, "lock")
    assert "Later." in str(found)


@pytest.mark.parametrize(
    ("status", "header", "should_retry", "is_retryable"),
    [
        (429, "false", False, False),
        (429, "true", True, True),
        (429, "maybe", None, True),
        (429, "", None, True),
        (500, "false", False, False),
        (529, "True", True, True),
        (400, "true", True, True),
        (409, "false", False, False),
    ],
)
def test_the_provider_s_own_word_decides_whether_a_retry_makes_sense(
    status: int, header: str, should_retry: bool | None, is_retryable: bool
) -> None:
    for kind in ("openai", "anthropic", "custom"):
        found = answered(kind, status, said("No."), {"x-should-retry": header})
        assert found.upstream is not None
        assert (found.upstream.should_retry, found.retryable) == (should_retry, is_retryable)


def test_a_spent_quota_and_a_long_context_keep_their_codes() -> None:
    spent = answered("openai", 429, said("You exceeded your current quota.", "insufficient_quota"))
    long = answered("openai", 400, said("At most 8192 tokens.", "context_length_exceeded"))

    assert [error.upstream and error.upstream.code for error in (spent, long)] == [
        "insufficient_quota",
        "context_length_exceeded",
    ]


def test_a_key_that_a_provider_quotes_is_shown_nowhere_not_even_half_of_it() -> None:
    key = Secret("canary-0123456789-abcdef")
    text = key.reveal()
    for status in (400, 403, 408, 409, 429, 500):
        quoting = answered("custom", status, {**said("x" * 1990 + text, text, text), "param": text})
        for shown in (str(quoting), quoting.param or "", repr(quoting.upstream)):
            assert "canary" not in shown
    plain = error_of_answer(load_facts()["custom"], status=400, body=b"no key " + text.encode(), headers={})
    page = error_of_answer(
        load_facts()["custom"], status=502, body=b"<html><title>" + text.encode() + b"</title>", headers={}
    )
    assert "canary" not in f"{plain}{page}"


@pytest.mark.parametrize(
    ("event", "kind_of_error"),
    [
        (b'{"error":{"message":"moderated","code":403}}', UpstreamRefused),
        (b'{"error":{"message":"late","code":408}}', UpstreamTimeout),
        (b'{"error":{"message":"locked","code":409}}', UpstreamRefused),
        (b'{"error":{"message":"broken","code":500}}', UpstreamUnavailable),
    ],
)
def test_an_error_inside_a_stream_is_told_apart_in_the_same_way(
    event: bytes, kind_of_error: type[LlmManagerError]
) -> None:
    assert type(error_in_stream(load_facts()["openrouter"], event)) is kind_of_error
