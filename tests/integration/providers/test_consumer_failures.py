"""Providers that fail, fall silent or are cut off, and clients that go away: each is an error, and a row."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from llm_manager.contracts.inference.v1.infer_pb2 import Chunk, Done
from llm_manager.contracts.usage.v1 import event_pb2 as event_types
from llm_manager.core.errors import (
    InvalidRequest,
    LlmManagerError,
    ProviderRateLimited,
    RequestCancelled,
    UnsupportedParameter,
    UpstreamCredentialsExhausted,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from llm_manager.testing.asker import Asker
from llm_manager.testing.upstream import (
    SILENT_AFTER_ACCEPT,
    SILENT_AFTER_HEADERS,
    Cut,
    FakeUpstream,
    Pause,
    Script,
    Step,
    chunk,
    sse,
)

BODY = (
    b'{"model":"nice-name","messages":[{"role":"user","content":"Hello there"}],'
    b'"seed":15092511270073158000,"x_new":{"a":1}}'
)
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}, "brand_new": [1]}
# 6 * 1 + 4 * 0.1 + 3 * 2 dollars for a million tokens
COST_PICOUSD = 12_400_000


@pytest.mark.requirement("B-8", "L-25")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_cancel_closes_the_upstream_within_a_second_and_records_what_was_used(
    asker: Asker, upstream: FakeUpstream, stream: bool
) -> None:
    body = sse(chunk("Hello wor")) if stream else [b'{"id":"x",']
    upstream.script = Script(steps=[*body, Pause()])
    asking = asyncio.create_task(asker.ask(asker.native_chat(BODY, stream=stream)))
    await upstream.wait_for_requests()
    await asyncio.sleep(0.1)

    began = time.monotonic()
    asking.cancel()
    await asyncio.wait({asking})
    await upstream.wait_for_hangups()
    event = await asker.the_event()

    assert time.monotonic() - began < 1.0
    assert event.state == event_types.ATTEMPT_STATE_CANCELLED
    assert event.error_code == "cancelled"
    assert event.usage_source == event_types.USAGE_SOURCE_ESTIMATED
    # "Hello there" has 11 characters, "Hello wor" 9, four to a token
    assert event.usage == event_types.Usage(input_uncached=3, output_text=3 if stream else 0, requests=1)
    assert event.cost.total_picousd == 3_000_000 + (6_000_000 if stream else 0)


async def test_cancel_before_the_headers_closes_the_upstream_and_says_that_nobody_knows(
    asker: Asker, upstream: FakeUpstream
) -> None:
    upstream.script = SILENT_AFTER_ACCEPT
    asking = asyncio.create_task(asker.ask(asker.native_chat(BODY)))
    await upstream.wait_for_requests()
    asking.cancel()
    await asyncio.wait({asking})
    await upstream.wait_for_hangups(seconds=1.0)

    event = await asker.the_event()
    assert event.state == event_types.ATTEMPT_STATE_CANCELLED
    assert event.usage_source == event_types.USAGE_SOURCE_UNKNOWN


def stripped(event: event_types.UsageRecorded) -> event_types.UsageRecorded:
    """Return the event without the attribution, as Done carries it."""
    copy = event_types.UsageRecorded()
    copy.CopyFrom(event)
    for name in ("app_id", "api_key_id", "requested_model", "configuration", "end_user", "tags"):
        copy.ClearField(name)
    return copy


async def test_cancelled_attempt_answers_with_its_accounting(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(steps=[*sse(chunk("Hello wor")), Pause()])
    request = asker.native_chat(BODY)
    request.timeout_ms = 20_000
    got: list[Chunk] = []
    async with asker.requester.stream(
        asker.subject, request.SerializeToString(), request_id=request.attribution.request_id, deadline_seconds=20
    ) as frames:
        got.append(Chunk.FromString(await anext(frames)))
        frames.cancel("client_disconnected")
        with pytest.raises(RequestCancelled) as raised:
            await anext(frames)

    assert len(got) == 1
    assert Done.FromString(raised.value.detail).event == stripped(await asker.the_event())


@pytest.mark.requirement("B-5")
@pytest.mark.parametrize(
    ("limit", "script"),
    [
        ("headers", SILENT_AFTER_ACCEPT),
        ("first_token", SILENT_AFTER_HEADERS),
        ("first_token", Script(steps=[b": PROCESSING\n\n", Pause(0.05), b": PROCESSING\n\n", Pause()])),
        ("idle", Script(steps=[*sse(chunk("a")), Pause()])),
        ("total", Script(steps=[part for _ in range(100) for part in (*sse(chunk("a")), Pause(0.05))])),
    ],
    ids=["headers", "first token", "first token in spite of comments", "idle", "total"],
)
async def test_each_silence_ends_by_its_own_limit(
    asker: Asker, upstream: FakeUpstream, limit: str, script: Script
) -> None:
    upstream.script = script
    request = asker.native_chat(BODY)
    setattr(request.target.timeouts, f"{limit}_ms", 150)
    began = time.monotonic()
    answered = await asker.ask(request)

    assert isinstance(answered.error, UpstreamTimeout)
    assert f"limit {limit}" in str(answered.error)
    assert answered.failure.code == f"timeout_{limit}"
    assert answered.error.retryable
    assert 0.1 < time.monotonic() - began < 2.0
    await upstream.wait_for_hangups()
    event = await asker.the_event()
    assert (event.state, event.error_code) == (event_types.ATTEMPT_STATE_ERROR, "upstream_timeout")


async def test_connection_that_is_never_taken_ends_by_the_limit_connect(asker: Asker) -> None:
    # A listening socket whose queue is full takes no further connection (Linux drops the SYN).
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        request = asker.native_chat(BODY)
        request.target.base_url = f"http://127.0.0.1:{address[1]}"
        request.target.timeouts.connect_ms = 150
        answered = await asker.ask(request)
        for filler in fillers:
            filler.close()

    assert isinstance(answered.error, UpstreamTimeout)
    assert "limit connect" in str(answered.error)
    event = await asker.the_event()
    assert event.usage_source == event_types.USAGE_SOURCE_NONE


async def test_slow_but_steady_answer_is_waited_for(asker: Asker, upstream: FakeUpstream) -> None:
    events = sse(*[chunk("ab")] * 8, chunk(finish="stop"), "[DONE]")
    upstream.script = Script(steps=[part for event in events for part in (event, Pause(0.03))])
    request = asker.native_chat(BODY)
    request.target.timeouts.idle_ms = 200
    request.target.timeouts.first_token_ms = 200
    answered = await asker.ask(request)

    assert answered.error is None
    assert len(answered.chunks) > 3


async def test_provider_that_is_not_there_costs_nothing(asker: Asker) -> None:
    request = asker.native_chat(BODY)
    request.target.base_url = "http://127.0.0.1:9"
    answered = await asker.ask(request)

    assert isinstance(answered.error, UpstreamUnreachable)
    event = await asker.the_event()
    assert (event.state, event.usage_source) == (event_types.ATTEMPT_STATE_ERROR, event_types.USAGE_SOURCE_NONE)
    assert event.cost.total_picousd == 0


@pytest.mark.requirement("L-26", "T-3", "P-3")
@pytest.mark.parametrize(
    ("steps", "kind_of_error"),
    [
        (sse({"error": {"message": "overloaded", "code": 529}}), UpstreamUnavailable),
        (sse({"error": {"message": "bad tool call", "status_code": 400}}), UpstreamRefused),
        ([b"event: error\ndata: out of luck\n\n"], UpstreamUnavailable),
        (sse({**chunk(finish="error")}), UpstreamUnavailable),
        (sse('{"broken": '), UpstreamProtocolError),
        ([Cut()], UpstreamProtocolError),
        ([], UpstreamProtocolError),
    ],
    ids=["error event", "error with status", "named event", "error as finish", "garbage", "cut", "half close"],
)
async def test_error_after_the_first_event_fails_the_attempt_and_is_a_row(
    asker: Asker, upstream: FakeUpstream, steps: list[Step], kind_of_error: type[LlmManagerError]
) -> None:
    upstream.script = Script(steps=[*sse(chunk("Hello wor")), Pause(0.05), *steps])
    answered = await asker.ask(asker.native_chat(BODY))

    assert isinstance(answered.error, kind_of_error)
    assert len(answered.native) == 1
    assert json.loads(answered.native[0])["choices"][0]["finish_reason"] is None
    event = await asker.the_event()
    assert (event.state, event.error_code) == (event_types.ATTEMPT_STATE_ERROR, answered.error.code)
    assert event.usage_source == event_types.USAGE_SOURCE_ESTIMATED
    assert event.usage.output_text == 3
    assert answered.event.usage == event.usage
    assert event.finish_reason == ""


async def test_usage_behind_an_error_still_counts(asker: Asker, upstream: FakeUpstream) -> None:
    steps = sse(chunk("Hi"), {**chunk(), "error": {"message": "no", "code": 502}}, chunk(usage=USAGE), "[DONE]")
    upstream.script = Script(steps=steps)
    answered = await asker.ask(asker.native_chat(BODY))

    assert isinstance(answered.error, UpstreamUnavailable)
    event = await asker.the_event()
    assert event.usage_source == event_types.USAGE_SOURCE_PROVIDER
    assert event.cost.total_picousd == COST_PICOUSD


@pytest.mark.parametrize(
    ("status", "kind_of_error", "http_status"),
    [
        (400, UpstreamRefused, 400),
        (404, UpstreamRefused, 404),
        (422, UpstreamRefused, 422),
        (302, UpstreamProtocolError, 502),
        (401, UpstreamCredentialsExhausted, 502),
        (402, UpstreamCredentialsExhausted, 502),
        (403, UpstreamRefused, 403),
        (408, UpstreamTimeout, 504),
        (409, UpstreamRefused, 409),
        (429, ProviderRateLimited, 429),
        (500, UpstreamUnavailable, 502),
        (529, UpstreamUnavailable, 503),
    ],
)
async def test_status_of_the_provider_becomes_the_error_of_the_table(
    asker: Asker, upstream: FakeUpstream, status: int, kind_of_error: type[LlmManagerError], http_status: int
) -> None:
    said = {"error": {"message": "Because of sk-canary-0123456789abcdef.", "code": "why", "param": "seed"}}
    upstream.script = Script(
        status=status,
        headers={"content-type": "application/json", "retry-after": "2.5", "location": "http://127.0.0.1:9/"},
        steps=[json.dumps(said).encode()],
    )
    answered = await asker.ask(asker.native_chat(BODY))

    assert isinstance(answered.error, kind_of_error)
    assert answered.error.http_status == http_status
    assert answered.failure.http_status == status
    assert answered.failure.code == "why"
    assert "sk-canary" not in str(answered.error)
    waits = status in (408, 409, 429) or status >= 500
    assert answered.error.retry_after_seconds == (2.5 if waits else None)
    assert answered.error.retryable == (waits or status == 302)
    event = await asker.the_event()
    assert (event.upstream_status, event.usage_source) == (status, event_types.USAGE_SOURCE_NONE)
    assert event.usage == event_types.Usage()


async def test_request_that_the_provider_cannot_take_is_refused_before_it_is_asked(
    asker: Asker, upstream: FakeUpstream
) -> None:
    answered = await asker.ask(asker.native_chat(b'{"messages":[],"logit_bias":{"1":2}}', kind="mistral"))

    assert isinstance(answered.error, UnsupportedParameter)
    assert answered.error.param == "logit_bias"
    assert upstream.requests == []
    event = await asker.the_event()
    assert (event.state, event.usage_source) == (event_types.ATTEMPT_STATE_ERROR, event_types.USAGE_SOURCE_NONE)


async def test_body_that_is_no_object_is_an_invalid_request(asker: Asker) -> None:
    answered = await asker.ask(asker.native_chat(b"[]"))

    assert isinstance(answered.error, InvalidRequest)


async def test_missing_and_foreign_credentials_are_ours_to_mend(asker: Asker, upstream: FakeUpstream) -> None:
    without = asker.native_chat(BODY, kind="openai")
    without.target.credential = b""
    foreign = asker.native_chat(BODY, kind="openai")
    foreign.target.credential = b"\x01" + b"x" * 60
    for request in (without, foreign):
        answered = await asker.ask(request)
        assert isinstance(answered.error, UpstreamCredentialsExhausted)
        assert answered.error.http_status == 502
    assert upstream.requests == []
