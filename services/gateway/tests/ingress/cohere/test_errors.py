"""Errors in Cohere's shape."""

from __future__ import annotations

import json

import pytest
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from pydantic import TypeAdapter

from llm_manager.core.errors import (
    InvalidRequest,
    ModelNotFound,
    ProviderRateLimited,
    UpstreamFailure,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.gateway.ingress.cohere.errors import DONE, error_body, failure_event


@pytest.mark.requirement("S28", "L-28")
def test_an_error_is_exactly_this() -> None:
    assert error_body(ModelNotFound("There is no m.", param="model"), request_id="r1") == (
        b'{"id":"r1","message":"There is no m.","code":"model_not_found","param":"model"}'
    )
    assert json.loads(error_body(ProviderRateLimited("Slow down."), request_id="r1")) == {
        "id": "r1",
        "message": "Slow down.",
        "code": ProviderRateLimited.code,
    }


@pytest.mark.parametrize(
    ("neutral", "theirs"),
    [
        ("top_p", "p"),
        ("top_k", "k"),
        ("stop", "stop_sequences"),
        ("dimensions", "output_dimension"),
        ("reasoning_budget", "thinking.token_budget"),
        ("input[3]", "texts[3]"),
        ("messages[0].content", "messages[0].content"),
    ],
)
@pytest.mark.requirement("S28")
def test_a_field_at_fault_is_named_in_the_client_s_words(neutral: str, theirs: str) -> None:
    assert json.loads(error_body(InvalidRequest("x", param=neutral), request_id="r"))["param"] == theirs


@pytest.mark.requirement("L-26", "P-3")
def test_a_broken_stream_ends_as_cohere_s_own_do() -> None:
    data = failure_event(UpstreamUnavailable("Overloaded"), request_id="r1")
    document = (
        b'{"type":"message-end","id":"r1",'
        b'"delta":{"finish_reason":"ERROR","error":"Overloaded","error_type":"upstream_unavailable"}}'
    )
    assert data == b"event: message-end\ndata: %s\n\n" % document + DONE
    TypeAdapter[object](V2ChatStreamResponse).validate_json(document)


def test_a_refusal_of_the_provider_keeps_its_code() -> None:
    refused = UpstreamRefused("No.", http_status=403, upstream=UpstreamFailure(403, code="moderated"))
    limited = ProviderRateLimited("No.", upstream=UpstreamFailure(429, code="insufficient_quota"))
    bare = UpstreamRefused("No.", upstream=UpstreamFailure(400))
    codes = [json.loads(error_body(error, request_id="r1"))["code"] for error in (refused, limited, bare)]
    assert codes == ["moderated", "insufficient_quota", "upstream_refused"]
