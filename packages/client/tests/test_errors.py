from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from llm_manager.client import errors


def body(**said: Any) -> bytes:
    return json.dumps({"error": {"message": "No.", "type": "t", "param": None, "code": None, **said}}).encode()


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (400, "invalid_request", errors.InvalidRequest),
        (422, None, errors.InvalidRequest),
        (413, "request_too_large", errors.InvalidRequest),
        (401, "invalid_api_key", errors.AuthenticationFailed),
        (403, "permission_denied", errors.PermissionRefused),
        (404, "model_not_found", errors.NotFound),
        (409, "configuration_inactive", errors.Conflict),
        (412, "precondition_failed", errors.PreconditionFailed),
        (429, "gateway_rate_limited", errors.RateLimited),
        (429, "budget_exceeded", errors.BudgetExceeded),
        (500, "internal_error", errors.ServerFailed),
        (502, "upstream_unreachable", errors.Unavailable),
        (503, "no_worker", errors.Unavailable),
        (504, "deadline_exceeded", errors.DeadlineExceeded),
        # a provider's own words say nothing about the class
        (400, "model_not_found", errors.InvalidRequest),
        (429, "insufficient_quota", errors.RateLimited),
    ],
)
def test_a_refusal_is_of_the_class_of_its_status_and_code(status: int, code: str | None, cls: type[Exception]) -> None:
    headers = {"x-request-id": "r-1", "retry-after": "7", "retry-after-ms": "6500"}
    error = errors.error_of_answer(status, headers, body(code=code, param="model"))
    assert type(error) is cls
    assert (str(error), error.status, error.code, error.param) == ("No.", status, code, "model")
    assert (error.request_id, error.retry_after, error.foreign) == ("r-1", 6.5, None)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[1]", b'"text"', b'{"error": "text"}', b"{}", b"\xff\xfe", b"[" * 100_000]
)
def test_a_refusal_in_another_shape_is_told_by_its_status(content: bytes) -> None:
    error = errors.error_of_answer(503, {}, content)
    assert (type(error), error.status, error.code) == (errors.Unavailable, 503, None)
    assert error.foreign == content[:300].decode(errors="replace")
    assert type(errors.error_of_answer(302, {}, content)) is errors.ProtocolError


def test_the_error_of_a_stream_has_no_status() -> None:
    for said, cls in (
        ({"code": "worker_lost", "type": "server_error"}, errors.Unavailable),
        ({"code": "their_word", "type": "rate_limit_error"}, errors.RateLimited),
        ({"code": None, "type": "invalid_request_error"}, errors.InvalidRequest),
        ({"code": "internal_error", "type": "server_error"}, errors.ServerFailed),
        ({"code": None}, errors.ServerFailed),
    ):
        error = errors.error_of_event({"error": {"message": "No.", **said}}, request_id="r-1")
        assert error is not None
        assert (type(error), error.status, error.request_id) == (cls, None, "r-1")
    others: list[Any] = [{"choices": []}, {"error": None}, [], "text", None]
    for event in others:
        assert errors.error_of_event(event, request_id=None) is None


def test_how_long_to_wait_is_read_in_every_form() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < (errors.retry_after_of({"retry-after": later}) or 0) <= 100
    assert errors.retry_after_of({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert errors.retry_after_of({"retry-after": "2"}) == 2
    for wrong in ("soon", "-1e999", "nan", "inf", ""):
        assert errors.retry_after_of({"retry-after": wrong}) is None
    assert errors.retry_after_of({"retry-after-ms": "inf"}) is None


def test_every_code_of_the_platform_has_a_class_of_its_own_status() -> None:
    from llm_manager.core import errors as platform

    for code in platform.CODES:
        cls = platform.class_of(code)
        whole = errors.error_of_answer(cls.http_status, {}, body(code=code))
        kind = "invalid_request_error" if issubclass(cls, platform.RequestError) else "server_error"
        streamed = errors.error_of_event({"error": {"message": "No.", "code": code, "type": kind}}, request_id=None)
        # what can come after the first byte is told apart in streams as it is in statuses
        if not issubclass(cls, platform.RequestError | platform.UpstreamRefused):
            assert type(streamed) is type(whole), code
