"""The Messages API over HTTP: whole, streamed, counted; native where the provider speaks the dialect; errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import httpx2
import pytest
from told_gateway import API_KEY, CREATED, REQUEST_ID, FakeGateway, HttpAnswer, Told

from llm_manager.core.deltas import AnswerInfo, Finish, Model, OpaqueDelta, TextDelta, TokenCount
from llm_manager.core.errors import ProviderRateLimited, UpstreamFailure, UpstreamUnavailable
from llm_manager.core.messages import ChatInput, CountTokensInput, Message, OpaqueBlock, Sampling, Text
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.http.error_shapes import ErrorRule
from llm_manager.gateway.inference.rules import NativeBody, Outcome, Piece
from llm_manager.gateway.ingress.anthropic import endpoints, models_endpoints
from llm_manager.gateway.ingress.anthropic.errors import error_body
from llm_manager.gateway.ingress.openai import endpoints as openai
from llm_manager.kit.sse import SseDecoder

Json = dict[str, Any]
RULES = (
    ErrorRule(error_body, prefixes=("/v1/messages",)),
    ErrorRule(error_body, prefixes=("/v1/models",), header=b"anthropic-version"),
)
VERSION = {"anthropic-version": "2023-06-01"}
QUESTION: Json = {"model": "fast", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
INFO = AnswerInfo(id="a1", model="gpt-1", created=CREATED)
PIECES = (Piece(info=INFO, deltas=(TextDelta(text="Hello"),)), Piece(deltas=(Finish(reason="stop"),)))
OUTCOME = Outcome(
    report=UsageReport(Usage(input_uncached=2, output_text=4, requests=1), UsageSource.PROVIDER),
    upstream_request_id="up-1",
    upstream_headers={"anthropic-ratelimit-requests-remaining": "9"},
    warnings=("top_k was left out",),
)
ANSWERED = Told(PIECES, OUTCOME)


@pytest.fixture
def gateway() -> FakeGateway:
    # the order in which the application has them
    return FakeGateway(models_endpoints.router, openai.router, endpoints.router, rules=RULES)


def events(answer: HttpAnswer) -> list[Json]:
    decoder = SseDecoder()
    return [json.loads(event.data) for event in (*decoder.feed(answer.body), *decoder.finish())]


@pytest.mark.requirement("T-13", "S18")
async def test_a_message_is_answered_with_who_made_it_and_what_it_used(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v1/messages?beta=true", {**QUESTION, "metadata": {"user_id": "u"}}, headers=VERSION)
    assert answer.status == 200
    assert answer.json == {
        "id": "a1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-1",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 4,
        },
    }
    said = {
        "content-type": "application/json",
        "request-id": REQUEST_ID,
        "x-request-id": REQUEST_ID,
        "x-llm-manager-provider": "openai",
        "x-llm-manager-model": "gpt",
        "x-llm-manager-upstream-request-id": "up-1",
        "x-llm-manager-warning": "top_k was left out",
        "anthropic-ratelimit-requests-remaining": "9",
    }
    assert {name: answer.headers.get(name) for name in said} == said
    (call,) = gateway.workers.calls
    assert (call.operation, call.end_user, call.is_stream) == ("chat", "u", False)
    assert call.input == ChatInput(
        messages=(Message(role="user", parts=(Text(text="Hi"),)),), sampling=Sampling(max_tokens=10)
    )


@pytest.mark.requirement("T-13")
async def test_the_key_may_stand_where_anthropic_s_clients_put_it(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    headers = {"authorization": "", "x-api-key": API_KEY}
    assert (await gateway.ask("/v1/messages", QUESTION, headers=headers)).status == 200
    refused = await gateway.ask("/v1/messages", QUESTION, headers={**headers, "x-api-key": "sk-ant-x"})
    assert (refused.status, refused.json["error"]["type"]) == (401, "authentication_error")


@pytest.mark.requirement("T-13", "S18")
async def test_a_stream_has_named_events(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v1/messages", {**QUESTION, "stream": True})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert [event["type"] for event in events(answer)] == [
        *("message_start", "ping", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert answer.body.startswith(b"event: message_start\ndata: {")


async def test_a_sequence_that_stopped_the_answer_is_named(gateway: FakeGateway) -> None:
    end = Finish(reason="stop", native_reason="STOP_SEQUENCE")
    gateway.workers.told = Told((Piece(info=INFO, deltas=(TextDelta(text="a"), end)),), OUTCOME)
    question = {**QUESTION, "stop_sequences": ["END"]}
    whole = (await gateway.ask("/v1/messages", question)).json
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "END")
    streamed = events(await gateway.ask("/v1/messages", {**question, "stream": True}))
    assert streamed[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


NATIVE = b'{ "model":"anthropic/sonnet","max_tokens":10 ,"new":1.50,"messages":[{"role":"user","content":"Hi"}]%s}'


@pytest.mark.requirement("T-14", "B-17")
async def test_a_provider_that_speaks_the_dialect_gets_the_body_as_it_is(gateway: FakeGateway) -> None:
    came = b'{ "type":"message" , "id":"msg_1","content":[{"type":"newer","n":1.50}] }'
    gateway.workers.told = Told((Piece(native=(came,)),), OUTCOME)
    headers = {**VERSION, "anthropic-beta": "a-2025,b-2025", "x-stainless-lang": "python"}
    answer = await gateway.ask("/v1/messages", NATIVE % b"", headers=headers)
    assert (answer.status, answer.body) == (200, came)
    (call,) = gateway.workers.calls
    assert call.input == NativeBody(
        "anthropic_messages",
        NATIVE % b"",
        {"anthropic-beta": "a-2025,b-2025", "anthropic-version": "2023-06-01"},
    )
    assert call.target.upstream_model == "sonnet"


@pytest.mark.requirement("T-14")
async def test_native_events_pass_as_they_came(gateway: FakeGateway) -> None:
    first, last = b'{"type":"message_start" ,"message":{}}', b'{ "type":"message_stop"}  '
    gateway.workers.told = Told((Piece(native=(first,)), Piece(native=(last,))), OUTCOME)
    answer = await gateway.ask("/v1/messages", NATIVE % b',"stream":true')
    assert answer.body == b"event: message_start\ndata: %s\n\nevent: message_stop\ndata: %s\n\n" % (first, last)


@pytest.mark.requirement("B-17", "T-14")
async def test_blocks_of_another_provider_make_the_body_one_to_translate(gateway: FakeGateway) -> None:
    block = OpaqueBlock(dialect="gemini_generate", json=b'{"thoughtSignature" : "x"}')
    deltas = (TextDelta(text="a"), OpaqueDelta(block=block), Finish(reason="stop"))
    gateway.workers.told = Told((Piece(info=INFO, deltas=deltas),), OUTCOME)
    turn = {"role": "assistant", "content": (await gateway.ask("/v1/messages", QUESTION)).json["content"]}
    messages = [*QUESTION["messages"], turn, *QUESTION["messages"]]
    await gateway.ask("/v1/messages", {**QUESTION, "model": "claude/sonnet", "messages": messages})
    asked = gateway.workers.calls[-1].input
    assert isinstance(asked, ChatInput)
    assert asked.messages[1].parts == (Text(text="a"), block)


async def test_a_body_that_is_none_is_an_error_of_the_provider(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((), OUTCOME)
    answer = await gateway.ask("/v1/messages", NATIVE % b"")
    assert (answer.status, answer.json["error"]["type"]) == (502, "api_error")


REFUSED: list[tuple[object, int, str]] = [
    ({**QUESTION, "messages": []}, 400, "invalid_request_error"),
    ({**QUESTION, "model": "nobody/knows"}, 404, "not_found_error"),
    ({"model": "fast", "messages": QUESTION["messages"]}, 400, "invalid_request_error"),
    ({**QUESTION, "tools": [{"name": "f", "input_schema": {}, "new": 1}]}, 400, "invalid_request_error"),
    (b"{", 400, "invalid_request_error"),
    (b" " * 100_001, 413, "request_too_large"),
]


@pytest.mark.requirement("L-28", "S28", "P-18")
@pytest.mark.parametrize(("body", "status", "kind"), REFUSED)
async def test_a_refusal_has_anthropic_s_shape(gateway: FakeGateway, body: object, status: int, kind: str) -> None:
    answer = await gateway.ask("/v1/messages", body)
    assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (status, "error", kind)
    assert (answer.json["request_id"], answer.headers["request-id"]) == (REQUEST_ID, REQUEST_ID)
    assert gateway.workers.calls == []


async def test_an_unknown_address_below_answers_in_the_same_shape(gateway: FakeGateway) -> None:
    answer = await gateway.ask("/v1/messages/batches", QUESTION)
    assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")


@pytest.mark.requirement("L-28")
async def test_what_a_provider_says_about_waiting_is_passed_on(gateway: FakeGateway) -> None:
    gateway.workers.told = Told(error=ProviderRateLimited("Slow down.", retry_after_seconds=7))
    for is_stream in (False, True):
        answer = await gateway.ask("/v1/messages", {**QUESTION, "stream": is_stream})
        assert (answer.status, answer.headers["retry-after"], answer.headers["retry-after-ms"]) == (429, "7", "7000")
        assert answer.json["error"] == {"type": "rate_limit_error", "message": "Slow down."}


@pytest.mark.requirement("L-26", "P-3")
async def test_a_stream_that_breaks_says_so_by_name_and_is_no_success(gateway: FakeGateway) -> None:
    broken = UpstreamUnavailable("Overloaded", upstream=UpstreamFailure(200, type="overloaded_error"))
    gateway.workers.told = Told(PIECES[:1], error=broken)
    answer = await gateway.ask("/v1/messages", {**QUESTION, "stream": True})
    assert answer.status == 200
    assert events(answer)[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": REQUEST_ID,
    }
    assert "message_stop" not in answer.body.decode()
    assert gateway.events.ended == ["upstream_unavailable"]


@pytest.mark.requirement("L-26")
async def test_an_error_before_the_first_byte_has_a_status_also_in_a_stream(gateway: FakeGateway) -> None:
    gateway.workers.told = Told(error=UpstreamUnavailable("Down", upstream=UpstreamFailure(500)))
    answer = await gateway.ask("/v1/messages", {**QUESTION, "stream": True})
    assert (answer.status, answer.json["error"]) == (502, {"type": "api_error", "message": "Down"})


COUNTED: Json = {name: QUESTION[name] for name in ("model", "messages")}


async def test_a_provider_that_counts_is_asked(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((Piece(token_count=TokenCount(input_tokens=17)),), OUTCOME)
    answer = await gateway.ask("/v1/messages/count_tokens", {**COUNTED, "model": "gemini/flash"})
    assert (answer.status, answer.json) == (200, {"input_tokens": 17})
    assert "x-llm-manager-usage-source" not in answer.headers
    (call,) = gateway.workers.calls
    chat = ChatInput(messages=(Message(role="user", parts=(Text(text="Hi"),)),))
    assert (call.operation, call.input) == ("count_tokens", CountTokensInput(chat=chat))


async def test_a_native_count_passes_as_it_came(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((Piece(native=(b'{"input_tokens":17 ,"new":1}',)),), OUTCOME)
    answer = await gateway.ask("/v1/messages/count_tokens", {**COUNTED, "model": "claude/sonnet"}, headers=VERSION)
    assert answer.body == b'{"input_tokens":17 ,"new":1}'
    assert isinstance(gateway.workers.calls[0].input, NativeBody)


async def test_where_nobody_counts_an_estimate_says_that_it_is_one(gateway: FakeGateway) -> None:
    messages = [{"role": "user", "content": "a" * 398}]
    answer = await gateway.ask("/v1/messages/count_tokens", {"model": "cohere/command", "messages": messages})
    assert (answer.status, answer.json) == (200, {"input_tokens": 100})
    assert answer.headers["x-llm-manager-usage-source"] == "estimated"
    assert gateway.workers.calls == []
    empty = await gateway.ask("/v1/messages/count_tokens", {"model": "cohere/command", "messages": []})
    assert empty.status == 400


@pytest.mark.requirement("T-13", "S12")
async def test_models_have_the_shape_of_who_asks(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((Piece(models=(Model(id="x/1", created=CREATED),)),))
    listed = await gateway.ask("/v1/models?limit=1", headers=VERSION)
    one = {"type": "model", "id": "fast", "display_name": "fast"} | {
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
    }
    assert listed.json == {"data": [one], "has_more": True, "first_id": "fast", "last_id": "fast"}
    assert (await gateway.ask("/v1/models/fast", headers=VERSION)).json == one
    slashed = await gateway.ask("/v1/models/openai/x/1", headers=VERSION)
    assert (slashed.status, slashed.json["id"]) == (200, "openai/x/1")
    plain = await gateway.ask("/v1/models/fast")
    assert plain.json == {"id": "fast", "object": "model", "created": CREATED, "owned_by": "openai"}
    assert (await gateway.ask("/v1/models")).json["object"] == "list"


async def test_errors_about_models_have_the_shape_of_who_asks(gateway: FakeGateway) -> None:
    missing = await gateway.ask("/v1/models/nobody", headers=VERSION)
    assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")
    assert (await gateway.ask("/v1/models/nobody")).json["error"]["code"] == "model_not_found"
    wrong = await gateway.ask("/v1/models?limit=0", headers=VERSION)
    assert (wrong.status, wrong.json["error"]["type"]) == (400, "invalid_request_error")
    stranger = await gateway.ask("/v1/models", headers={**VERSION, "authorization": ""})
    assert stranger.status == 401


@pytest.mark.requirement("L-24")
async def test_a_client_that_leaves_cancels_the_attempt(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    for is_stream in (False, True):
        gateway.workers.silence, gone = asyncio.Event(), asyncio.Event()
        gone.set()
        answer = await gateway.ask("/v1/messages", {**QUESTION, "stream": is_stream}, leaves=gone)
        assert "message_stop" not in answer.body.decode()
    assert gateway.workers.cancelled == gateway.workers.calls
    assert gateway.events.ended == ["cancelled", "cancelled"]


@pytest.mark.requirement("T-13")
async def test_the_sdk_reads_it_all_strictly(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    transport = httpx2.ASGITransport(app=gateway.app)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        anthropic.AsyncAnthropic(
            base_url="http://test", api_key=API_KEY, http_client=http, max_retries=0, _strict_response_validation=True
        ) as client,
    ):
        messages: Any = QUESTION["messages"]
        message = await client.messages.create(model="fast", max_tokens=10, messages=messages)
        assert [block.text for block in message.content if block.type == "text"] == ["Hello"]
        assert message.stop_reason == "end_turn"
        async with client.messages.stream(model="fast", max_tokens=10, messages=messages) as stream:
            assert (await stream.get_final_message()).usage.output_tokens == 4
        counted = await client.messages.count_tokens(model="cohere/command", messages=messages)
        assert counted.input_tokens > 0
        assert "fast" in [model.id async for model in client.models.list(limit=1)]
        with pytest.raises(anthropic.NotFoundError) as missing:
            await client.messages.create(model="nobody", max_tokens=10, messages=messages)
        assert missing.value.request_id
        gateway.workers.told = Told(PIECES[:1], error=UpstreamUnavailable("Down"))
        with pytest.raises(anthropic.APIStatusError, match="Down"):
            async with client.messages.stream(model="fast", max_tokens=10, messages=messages) as stream:
                await stream.get_final_message()
