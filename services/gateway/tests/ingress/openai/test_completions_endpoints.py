"""POST /v1/completions over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion
from told_gateway import CREATED, REQUEST_ID, FakeGateway, HttpAnswer, Told

from llm_manager.core.deltas import AnswerInfo, Finish, TextDelta
from llm_manager.core.errors import ProviderRateLimited, UpstreamFailure, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.messages import ChatInput, Message, Sampling, Text
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import NativeBody, Outcome, Piece
from llm_manager.gateway.ingress.openai import completions_endpoints

Json = dict[str, Any]
QUESTION: Json = {"model": "gemini/flash", "prompt": "Once", "max_tokens": 5}
NATIVE: Json = {**QUESTION, "model": "texts/babbage", "logprobs": 1}
INFO = AnswerInfo(id="a1", model="gemini-1", created=CREATED)
PIECES = (Piece(info=INFO, deltas=(TextDelta(text=" upon"),)), Piece(deltas=(Finish(reason="length"),)))
OUTCOME = Outcome(
    report=UsageReport(Usage(input_uncached=2, output_text=4, requests=1), UsageSource.PROVIDER),
    cost=Cost(CostState.PRICED, 6_000_000),
)
ANSWERED = Told(PIECES, OUTCOME)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(completions_endpoints.router)


def chunks(answer: HttpAnswer) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_a_completion_by_a_model_that_chats_is_exactly_this(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v1/completions", {**QUESTION, "user": "u", "stop": "END"})
    completion = Completion.model_validate_json(answer.body, strict=True)
    assert (completion.id, completion.model, completion.created) == ("a1", "gemini-1", CREATED)
    assert answer.json["choices"] == [{"text": " upon", "index": 0, "logprobs": None, "finish_reason": "length"}]
    usage = answer.json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 4, 6)
    assert usage["cost"] == pytest.approx(0.000006)
    assert answer.headers["x-request-id"] == REQUEST_ID
    (call,) = gateway.workers.calls
    assert (call.operation, call.end_user) == ("chat", "u")
    assert call.input == ChatInput(
        messages=(Message(role="user", parts=(Text(text="Once"),)),),
        sampling=Sampling(max_tokens=5, stop=("END",)),
        extension=b'{"user":"u"}',
    )


@pytest.mark.requirement("L-11")
async def test_the_cost_is_left_out_for_who_does_not_want_it(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v1/completions", QUESTION, headers={"x-llm-manager-cost": "off"})
    assert "cost" not in answer.json["usage"]


@pytest.mark.requirement("L-5")
async def test_a_stream_has_no_null_text_and_its_usage_no_choices(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    asked = {**QUESTION, "stream": True, "stream_options": {"include_usage": True}}
    *said, usage, done = chunks(await gateway.ask("/v1/completions", asked))
    assert done == "[DONE]"
    assert [choice["text"] for chunk in said for choice in chunk["choices"]] == [" upon", ""]
    assert [choice["finish_reason"] for chunk in said for choice in chunk["choices"]] == [None, "length"]
    assert {chunk["usage"] for chunk in said} == {None}
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 6)
    assert {chunk["id"] for chunk in (*said, usage)} == {"a1"}
    # a chunk before the last has no finish reason, which the SDK's type of whole completions does not know
    assert [Completion.model_validate(chunk, strict=True).id for chunk in (said[-1], usage)] == ["a1", "a1"]


async def test_a_stream_has_no_usage_that_nobody_asked_for(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    *said, done = chunks(await gateway.ask("/v1/completions", {**QUESTION, "stream": True}))
    assert done == "[DONE]"
    assert all("usage" not in chunk for chunk in said)


@pytest.mark.requirement("B-15")
async def test_a_provider_that_completes_texts_gets_the_body_as_it_is(gateway: FakeGateway) -> None:
    came = b'{"id":"n1","object":"text_completion","created":5,"model":"x","choices":[{"text":"a","index":0}],"new":1}'
    gateway.workers.told = Told((Piece(native=(came,)),), OUTCOME)
    answer = await gateway.ask("/v1/completions", NATIVE)
    assert answer.json == {**json.loads(came), "usage": answer.json["usage"]}
    assert answer.json["usage"]["total_tokens"] == 6
    (call,) = gateway.workers.calls
    assert call.input == NativeBody("openai_completions", json.dumps(NATIVE).encode(), {})


@pytest.mark.requirement("L-5")
async def test_native_events_pass_and_their_usage_is_ours(gateway: FakeGateway) -> None:
    first = b'{"id":"n1","created":5,"model":"x","choices":[{"text":"a","index":0,"finish_reason":null}]}'
    theirs = b'{"id":"n1","created":5,"model":"x","choices":[],"usage":{"total_tokens":99}}'
    gateway.workers.told = Told((Piece(native=(first, theirs)),), OUTCOME)
    asked = {**NATIVE, "stream": True, "stream_options": {"include_usage": True}}
    passed, usage, done = chunks(await gateway.ask("/v1/completions", asked))
    assert passed == {**json.loads(first), "usage": None}
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 6, "[DONE]")


REFUSED: list[tuple[Json, int, str, str]] = [
    ({**QUESTION, "model": "nobody/knows"}, 404, "model_not_found", "model"),
    ({**QUESTION, "suffix": "end"}, 400, "unsupported_parameter", "suffix"),
    ({**QUESTION, "prompt": [1, 2]}, 400, "unsupported_parameter", "prompt"),
    ({"model": "gemini/flash"}, 400, "invalid_request", "prompt"),
    ({**QUESTION, "temperature": 3}, 400, "invalid_request", "temperature"),
]


@pytest.mark.requirement("L-28", "P-18")
@pytest.mark.parametrize(("body", "status", "code", "param"), REFUSED, ids=[item[3] for item in REFUSED])
async def test_a_refusal_names_the_field(gateway: FakeGateway, body: Json, status: int, code: str, param: str) -> None:
    answer = await gateway.ask("/v1/completions", body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert answer.headers["x-request-id"] == REQUEST_ID
    assert gateway.workers.calls == []


@pytest.mark.requirement("L-28")
@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_a_provider_says_about_waiting_is_passed_on(gateway: FakeGateway, *, is_stream: bool) -> None:
    gateway.workers.told = Told(error=ProviderRateLimited("Slow down.", retry_after_seconds=1.5))
    answer = await gateway.ask("/v1/completions", {**QUESTION, "stream": is_stream})
    assert (answer.status, answer.headers["retry-after"], answer.headers["retry-after-ms"]) == (429, "2", "1500")


async def test_a_refusal_of_the_provider_keeps_its_status_and_words(gateway: FakeGateway) -> None:
    upstream = UpstreamFailure(400, code="too_long", type="invalid_request_error", request_id="up-1")
    gateway.workers.told = Told(error=UpstreamRefused("Too long.", upstream=upstream))
    answer = await gateway.ask("/v1/completions", NATIVE)
    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["message"]) == (
        400,
        "too_long",
        "Too long.",
    )
    assert answer.headers["x-llm-manager-upstream-request-id"] == "up-1"


@pytest.mark.requirement("L-26")
async def test_a_stream_that_breaks_ends_with_an_error_and_without_done(gateway: FakeGateway) -> None:
    gateway.workers.told = Told(PIECES[:1], error=UpstreamUnavailable("Down"))
    said, failure = chunks(await gateway.ask("/v1/completions", {**QUESTION, "stream": True}))
    assert said["choices"][0]["text"] == " upon"
    assert failure["error"]["message"] == "Down"
    assert failure["error"]["code"] == "upstream_unavailable"
