"""Errors in Anthropic's shape (wire.md section 3)."""

from __future__ import annotations

import json

import pytest
from anthropic.types.shared import ErrorResponse

from llm_manager.core.errors import (
    AuthenticationFailed,
    BodyTooLarge,
    BudgetExceeded,
    Conflict,
    DeadlineExceeded,
    GatewayRateLimited,
    InternalError,
    InvalidRequest,
    LlmManagerError,
    MethodNotAllowed,
    ModelNotFound,
    NoWorker,
    PermissionRefused,
    ProviderRateLimited,
    RouteNotFound,
    UnsupportedMediaType,
    UnsupportedParameter,
    UpstreamCredentialsExhausted,
    UpstreamFailure,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
    WorkerLost,
)
from llm_manager.gateway.ingress.anthropic.errors import error_body


def said(error: LlmManagerError) -> dict[str, object]:
    return json.loads(error_body(error, request_id="r1"))


def test_an_error_is_exactly_this() -> None:
    assert error_body(ModelNotFound("There is no m.", param="model"), request_id="r1") == (
        b'{"type":"error","error":{"type":"not_found_error","message":"There is no m."},"request_id":"r1"}'
    )


TYPES: list[tuple[LlmManagerError, str]] = [
    (InvalidRequest("x"), "invalid_request_error"),
    (InvalidRequest("x", http_status=422), "invalid_request_error"),
    (UnsupportedParameter("x"), "invalid_request_error"),
    (UnsupportedMediaType("x"), "invalid_request_error"),
    (MethodNotAllowed("x"), "invalid_request_error"),
    (AuthenticationFailed("x"), "authentication_error"),
    (PermissionRefused("x"), "permission_error"),
    (RouteNotFound("x"), "not_found_error"),
    (Conflict("x"), "conflict_error"),
    (BodyTooLarge("x"), "request_too_large"),
    (BudgetExceeded("x"), "rate_limit_error"),
    (GatewayRateLimited("x"), "rate_limit_error"),
    (ProviderRateLimited("x"), "rate_limit_error"),
    (UpstreamCredentialsExhausted("x"), "api_error"),
    (UpstreamUnavailable("x"), "api_error"),
    (UpstreamUnavailable("x", upstream=UpstreamFailure(500, type="api_error")), "api_error"),
    (UpstreamUnavailable("x", upstream=UpstreamFailure(503)), "overloaded_error"),
    (UpstreamUnavailable("x", upstream=UpstreamFailure(529)), "overloaded_error"),
    (UpstreamUnavailable("x", upstream=UpstreamFailure(200, type="overloaded_error")), "overloaded_error"),
    (UpstreamUnreachable("x"), "api_error"),
    (UpstreamTimeout("x"), "timeout_error"),
    (UpstreamProtocolError("x"), "api_error"),
    (NoWorker("x"), "overloaded_error"),
    (WorkerLost("x"), "api_error"),
    (DeadlineExceeded("x"), "timeout_error"),
    (InternalError("x"), "api_error"),
]


@pytest.mark.requirement("S28", "L-28")
@pytest.mark.parametrize(("error", "kind"), TYPES, ids=[f"{type(error).__name__}-{kind}" for error, kind in TYPES])
def test_every_error_has_a_type_that_the_sdk_knows(error: LlmManagerError, kind: str) -> None:
    body = said(error)
    assert body == {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "r1"}
    if kind not in ("request_too_large", "conflict_error"):
        # of these two the SDK has classes of exceptions by status, but no types of bodies
        ErrorResponse.model_validate(body, strict=True)


@pytest.mark.requirement("S28")
@pytest.mark.parametrize(
    ("theirs", "status", "ours"),
    [
        ("billing_error", 402, "billing_error"),
        ("request_too_large", 413, "request_too_large"),
        ("invalid_request_error", 400, "invalid_request_error"),
        # not Anthropic's words, so the status speaks
        ("insufficient_quota", 400, "invalid_request_error"),
        ("", 404, "not_found_error"),
    ],
)
def test_a_refusal_of_anthropic_keeps_its_type(theirs: str, status: int, ours: str) -> None:
    error = UpstreamRefused("x", http_status=status, upstream=UpstreamFailure(status, type=theirs))
    assert said(error)["error"] == {"type": ours, "message": "x"}
