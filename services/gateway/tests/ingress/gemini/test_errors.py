"""Errors in Google's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import (
    AuthenticationFailed,
    BodyTooLarge,
    BudgetExceeded,
    DeadlineExceeded,
    GatewayRateLimited,
    InternalError,
    InvalidRequest,
    LlmManagerError,
    ModelNotFound,
    NoWorker,
    PermissionRefused,
    ProviderRateLimited,
    UnsupportedParameter,
    UpstreamCredentialsExhausted,
    UpstreamFailure,
    UpstreamRefused,
    UpstreamTimeout,
)
from llm_manager.gateway.ingress.gemini.errors import error_body

_RPC = "type.googleapis.com/google.rpc."


def _error(error: LlmManagerError) -> dict[str, Any]:
    return json.loads(error_body(error, request_id="r1"))["error"]


@pytest.mark.requirement("L-28", "S28", "T-10")
@pytest.mark.parametrize(
    ("error", "code", "status", "reason"),
    [
        (InvalidRequest("m"), 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (AuthenticationFailed("m"), 401, "UNAUTHENTICATED", "API_KEY_INVALID"),
        (PermissionRefused("m"), 403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (ModelNotFound("m"), 404, "NOT_FOUND", "MODEL_NOT_FOUND"),
        (BodyTooLarge("m"), 413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE"),
        (BudgetExceeded("m"), 429, "RESOURCE_EXHAUSTED", "BUDGET_EXCEEDED"),
        (GatewayRateLimited("m"), 429, "RESOURCE_EXHAUSTED", "GATEWAY_RATE_LIMITED"),
        (ProviderRateLimited("m"), 429, "RESOURCE_EXHAUSTED", "PROVIDER_RATE_LIMITED"),
        (UpstreamRefused("m"), 400, "INVALID_ARGUMENT", "UPSTREAM_REFUSED"),
        (UpstreamRefused("m", http_status=404), 404, "NOT_FOUND", "UPSTREAM_REFUSED"),
        (UpstreamRefused("m", http_status=422), 422, "INVALID_ARGUMENT", "UPSTREAM_REFUSED"),
        (UpstreamCredentialsExhausted("m"), 502, "UNAVAILABLE", "UPSTREAM_CREDENTIALS_EXHAUSTED"),
        (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED", "UPSTREAM_TIMEOUT"),
        (NoWorker("m"), 503, "UNAVAILABLE", "NO_WORKER"),
        (DeadlineExceeded("m"), 504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        (InternalError("m"), 500, "INTERNAL", "INTERNAL_ERROR"),
    ],
)
def test_every_error_has_the_status_that_google_has_for_it(
    error: LlmManagerError, code: int, status: str, reason: str
) -> None:
    body = _error(error)
    assert (body["code"], body["status"], body["message"], body["details"][0]["reason"]) == (code, status, "m", reason)


def test_an_error_says_what_is_wrong_how_long_to_wait_and_who_said_so() -> None:
    upstream = UpstreamFailure(429, code="rate", type="tokens", request_id="u1")
    assert _error(ProviderRateLimited("Slow down.", retry_after_seconds=34.25, upstream=upstream))["details"] == [
        {
            "@type": _RPC + "ErrorInfo",
            "reason": "PROVIDER_RATE_LIMITED",
            "domain": "llm-manager",
            "metadata": {"upstreamCode": "rate", "upstreamType": "tokens", "upstreamRequestId": "u1"},
        },
        {"@type": _RPC + "RetryInfo", "retryDelay": "34.25s"},
        {"@type": _RPC + "RequestInfo", "requestId": "r1"},
    ]


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("contents[0].parts[1].text", "contents[0].parts[1].text"),
        ("messages[2]", "contents[2]"),
        ("max_tokens", "generationConfig.maxOutputTokens"),
        ("n", "generationConfig.candidateCount"),
        ("safetySettings", "safetySettings"),
    ],
)
@pytest.mark.requirement("P-18")
def test_a_field_at_fault_is_named_in_the_words_of_the_dialect(param: str, field: str) -> None:
    violations = _error(UnsupportedParameter("No.", param=param))["details"][1]
    assert violations == {
        "@type": _RPC + "BadRequest",
        "fieldViolations": [{"field": field, "description": "No."}],
    }


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (-1, "0s"), (30, "30s"), (0.0004, "0s"), (100, "100s")])
def test_a_delay_is_written_as_protobuf_writes_it(seconds: float, text: str) -> None:
    assert _error(GatewayRateLimited("m", retry_after_seconds=seconds))["details"][1]["retryDelay"] == text
