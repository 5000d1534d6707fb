"""Errors as HTTP bodies and headers."""

from __future__ import annotations

import json

import pytest

from llm_manager.core import errors
from llm_manager.gateway.errors import error_body, error_headers


def test_a_refusal_keeps_the_words_of_the_provider() -> None:
    upstream = errors.UpstreamFailure(400, code="context_length_exceeded", type="invalid_request_error", request_id="r")
    error = errors.UpstreamRefused("too long", param="messages", upstream=upstream)
    assert json.loads(error_body(error)) == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }
    assert (b"x-llm-manager-upstream-request-id", b"r") in error_headers(error)


def test_a_refusal_without_a_code_has_none() -> None:
    error = errors.UpstreamRefused("no", upstream=errors.UpstreamFailure(422))
    assert json.loads(error_body(error))["error"]["code"] is None


@pytest.mark.requirement("T-10")
@pytest.mark.parametrize(
    ("code", "type_", "shown"),
    [
        ("insufficient_quota", "insufficient_quota", ("insufficient_quota", "insufficient_quota")),
        ("rate_limit_exceeded", "tokens", ("rate_limit_exceeded", "tokens")),
        ("", "", ("provider_rate_limited", "rate_limit_error")),
        # OpenRouter repeats the status, which says nothing
        ("429", "", ("provider_rate_limited", "rate_limit_error")),
    ],
)
def test_a_limit_of_the_provider_keeps_its_code(code: str, type_: str, shown: tuple[str, str]) -> None:
    error = errors.ProviderRateLimited("wait", upstream=errors.UpstreamFailure(429, code=code, type=type_))
    body = json.loads(error_body(error))["error"]
    assert (body["code"], body["type"]) == shown


def _said(status: int, should_retry: bool | None) -> errors.UpstreamFailure:
    return errors.UpstreamFailure(status, should_retry=should_retry)


@pytest.mark.parametrize(
    ("error", "retries"),
    [
        (errors.ProviderRateLimited("x", upstream=_said(429, should_retry=False)), b"false"),
        (errors.ProviderRateLimited("x", upstream=_said(429, should_retry=True)), b"true"),
        (errors.ProviderRateLimited("x", upstream=_said(429, should_retry=None)), None),
        (errors.UpstreamUnavailable("x", upstream=_said(500, should_retry=False)), b"false"),
        (errors.UpstreamRefused("x", http_status=400, upstream=_said(400, should_retry=True)), b"true"),
        (errors.UpstreamRefused("x", http_status=409, upstream=_said(409, should_retry=None), retryable=True), None),
    ],
)
def test_what_the_provider_says_of_a_retry_goes_through(error: errors.LlmManagerError, retries: bytes | None) -> None:
    assert [value for name, value in error_headers(error) if name == b"x-should-retry"] == [retries] * bool(retries)


@pytest.mark.parametrize(
    ("error", "retries"),
    [
        (errors.BudgetExceeded("x"), b"false"),
        (errors.UpstreamCredentialsExhausted("x"), b"false"),
        (errors.Conflict("x"), b"false"),
        (errors.GatewayRateLimited("x"), None),
        (errors.NoWorker("x"), None),
        (errors.InvalidRequest("x"), None),
    ],
)
def test_clients_are_told_when_a_retry_is_pointless(error: errors.LlmManagerError, retries: bytes | None) -> None:
    assert dict(error_headers(error)).get(b"x-should-retry") == retries


def test_the_wait_is_told_in_seconds_and_milliseconds() -> None:
    headers = dict(error_headers(errors.GatewayRateLimited("x", retry_after_seconds=1.2)))
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"2", b"1200")


@pytest.mark.parametrize("code", errors.CODES)
def test_every_error_of_the_tree_has_openais_shape(code: str) -> None:
    body = json.loads(error_body(errors.class_of(code)("what to do")))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"]
