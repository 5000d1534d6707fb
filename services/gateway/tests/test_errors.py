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
