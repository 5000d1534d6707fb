"""Failures of Anthropic: by status, by body, in the middle of a stream, and answers that break their own format."""

from __future__ import annotations

import json
from typing import Any  # JSON documents

import pytest

from llm_manager.core.deltas import (
    Finish,
    TextDelta,
)
from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageSource
from llm_manager.providers.dialects.anthropic_messages.answer import ChatReader
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer

FACTS = load_facts()["anthropic"]
DIALECT = AnthropicMessages(FACTS, new_id=lambda: "made-up")
Json = dict[str, Any]
END: Json = {"type": "message_stop"}


def start(**usage: object) -> Json:
    message: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}


def block(index: int, **content: object) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": content}


def more(index: int, kind: str, **delta: object) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def closed(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def ending(reason: str | None = "end_turn", **usage: object) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def sse(*events: Json | str) -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return b"".join(b"event: x\ndata: %b\n\n" % text.encode() for text in texts)


def stream(*, is_native: bool = False) -> ChatReader:
    return DIALECT.native_chat_reader(is_stream=True) if is_native else DIALECT.chat_reader(is_stream=True)


def read(reader: AnswerReader, data: bytes) -> Pieces:
    answer = reader.feed(data)
    answer.extend(reader.finish())
    return answer


def whole(**fields: object) -> bytes:
    message: Json = {"id": "msg_1", "type": "message", "model": "claude-x", "content": [], "stop_reason": "end_turn"}
    return json.dumps({**message, "usage": {"input_tokens": 1, "output_tokens": 2}, **fields}).encode()


@pytest.mark.requirement("L-26", "P-3")
@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("invalid_request_error", UpstreamRefused, 400),
        ("authentication_error", UpstreamCredentialsExhausted, 502),
        ("billing_error", UpstreamCredentialsExhausted, 502),
        ("permission_error", UpstreamCredentialsExhausted, 502),
        ("not_found_error", UpstreamRefused, 404),
        ("request_too_large", UpstreamRefused, 413),
        ("rate_limit_error", ProviderRateLimited, 429),
        ("api_error", UpstreamUnavailable, 502),
        ("timeout_error", UpstreamUnavailable, 504),
        ("overloaded_error", UpstreamUnavailable, 503),
        ("new_error", UpstreamUnavailable, 502),
    ],
)
@pytest.mark.parametrize("form", ["event", "document", "body"])
def test_failure_with_status_200_is_an_error_by_its_type(
    kind: str, error: type[LlmManagerError], status: int, form: str
) -> None:
    failure: Json = {"type": "error", "error": {"type": kind, "message": "why"}, "request_id": "r"}
    reader = DIALECT.chat_reader(is_stream=form != "body")
    answer = read(reader, sse(failure) if form == "event" else json.dumps(failure).encode())

    assert not answer
    found = reader.error
    assert found is not None
    assert (type(found), found.http_status) == (error, status)
    assert found.upstream is not None
    assert (found.upstream.http_status, found.upstream.type) == (200, kind)


@pytest.mark.requirement("L-26")
@pytest.mark.parametrize("is_native", [True, False])
def test_what_was_said_before_a_failure_stays_said_and_nothing_follows_it(is_native: bool) -> None:
    reader = stream(is_native=is_native)
    said = [start(input_tokens=9, output_tokens=1), block(0, type="text", text=""), more(0, "text_delta", text="Hi")]
    failure: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    answer = read(reader, sse(*said, failure, more(0, "text_delta", text="!"), ending(output_tokens=7), END))

    assert isinstance(reader.error, UpstreamUnavailable)
    assert answer.deltas == ([] if is_native else [TextDelta(text="Hi")])
    assert [json.loads(event) for event in answer.native] == (said if is_native else [])
    report = reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=9, output_text=7)
    assert report.source is UsageSource.PROVIDER


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "holds no message"),
        (b"  \r\n ", "holds no message"),
        (sse({"type": "ping"}), "holds no message"),
        (sse(start(input_tokens=1, output_tokens=1)), "was cut off before its end"),
        (sse(start(input_tokens=1, output_tokens=1), ending(output_tokens=1)), "was cut off before its end"),
        (sse(start(input_tokens=1, output_tokens=1), END), "ended without saying why"),
        (sse("garbage"), "holds an event that cannot be read"),
        (sse('{"type":"content_block_start","index":"x"}'), "holds an event that cannot be read"),
        (b'{"id":"m"}', "is no stream of events"),
        (b"{", "is no stream of events"),
    ],
)
def test_stream_that_breaks_its_own_format_is_an_error(data: bytes, what: str) -> None:
    reader = stream()
    answer = read(reader, data)

    assert isinstance(reader.error, UpstreamProtocolError)
    assert what in str(reader.error)
    assert not any(isinstance(delta, Finish) for delta in answer.deltas)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "is not the JSON of a message"),
        (b"[]", "is not the JSON of a message"),
        (b'{"id":"m","stop_reason":"end_turn"}', "holds no content"),
        (b'{"id":"m","content":[]}', "ended without saying why"),
    ],
)
@pytest.mark.parametrize("is_native", [True, False])
def test_body_that_breaks_its_own_format_is_an_error(body: bytes, what: str, is_native: bool) -> None:
    reader = (
        DIALECT.native_chat_reader(is_stream=False) if is_native else DIALECT.chat_reader(is_stream=False)
    )  # fmt: skip
    answer = read(reader, body)

    assert isinstance(reader.error, UpstreamProtocolError)
    assert what in str(reader.error)
    assert not answer


@pytest.mark.parametrize(
    ("make", "body", "error"),
    [
        (DIALECT.models_reader, b'{"data":[{"id":null}]}', None),
        (DIALECT.models_reader, b"{}", UpstreamProtocolError),
        (DIALECT.models_reader, b'{"error":{"type":"rate_limit_error","message":"x"}}', ProviderRateLimited),
        (DIALECT.count_tokens_reader, b'{"input_tokens":-1}', UpstreamProtocolError),
        (DIALECT.count_tokens_reader, b"no", UpstreamProtocolError),
        (DIALECT.native_count_tokens_reader, b'{"error":{"type":"api_error","message":"x"}}', UpstreamUnavailable),
    ],
)
def test_documents_without_what_was_asked_for_are_errors(make: Any, body: bytes, error: type | None) -> None:
    reader: AnswerReader = make()
    assert not read(reader, body)
    assert (None if reader.error is None else type(reader.error)) is error


def test_refusal_says_when_to_come_back() -> None:
    body = b'{"type":"error","error":{"details":null,"type":"rate_limit_error","message":"Slow"},"request_id":"b"}'
    error = error_of_answer(FACTS, status=429, body=body, headers={"request-id": "req_1", "retry-after": "17"})

    assert isinstance(error, ProviderRateLimited)
    assert str(error) == "Anthropic limits us: Slow"
    assert error.retry_after_seconds == 17.0
    assert error.upstream is not None
    assert (error.upstream.type, error.upstream.code, error.upstream.request_id) == ("rate_limit_error", "", "req_1")
