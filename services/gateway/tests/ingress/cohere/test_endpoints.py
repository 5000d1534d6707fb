"""Cohere's routes over HTTP: whole, streamed; native where the provider speaks the dialect; errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from told_gateway import REQUEST_ID, FakeGateway, Told

from llm_manager.core.deltas import AnswerInfo, Finish, OpaqueDelta, RerankResult, TextDelta
from llm_manager.core.errors import ProviderRateLimited, UpstreamUnavailable
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Message,
    OpaqueBlock,
    RerankInput,
    Text,
)
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import NativeBody, Outcome, Piece
from llm_manager.gateway.ingress.cohere import endpoints
from llm_manager.gateway.ingress.routers import ERROR_RULES

Json = dict[str, Any]
QUESTION: Json = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
TEXTS: Json = {"model": "openai/e", "texts": ["a", "b"], "input_type": "search_query"}
ORDER: Json = {"model": "cohere/r", "query": "q", "documents": ["a", "b"]}
INFO = AnswerInfo(id="a1", model="gpt-1", created=7)
PIECES = (Piece(info=INFO, deltas=(TextDelta(text="Hello"),)), Piece(deltas=(Finish(reason="stop"),)))
OUTCOME = Outcome(
    report=UsageReport(Usage(input_uncached=2, output_text=4, requests=1), UsageSource.PROVIDER),
    upstream_request_id="up-1",
)
ANSWERED = Told(PIECES, OUTCOME)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(endpoints.router, rules=ERROR_RULES)


@pytest.mark.requirement("S26", "T-13")
async def test_a_chat_is_answered_by_any_provider(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v2/chat", QUESTION)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["message"] == {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    assert answer.json["usage"]["tokens"] == {"input_tokens": 2, "output_tokens": 4}
    assert answer.headers["x-llm-manager-upstream-request-id"] == "up-1"
    (call,) = gateway.workers.calls
    assert (call.operation, call.is_stream) == ("chat", False)
    assert call.input == ChatInput(messages=(Message(role="user", parts=(Text(text="Hi"),)),))


@pytest.mark.requirement("S26", "T-13")
async def test_a_stream_has_named_events(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    answer = await gateway.ask("/v2/chat", {**QUESTION, "stream": True})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    names = [line.removeprefix("event: ") for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert names == ["message-start", "content-start", "content-delta", "content-end", "message-end"]
    assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")
    assert gateway.workers.calls[0].is_stream


NATIVE = b'{ "model":"cohere/command" ,"new":1.50,"messages":[{"role":"user","content":"Hi"}]%s}'


@pytest.mark.requirement("T-14", "B-17")
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v2/chat", NATIVE % b""),
        ("/v2/embed", b'{ "model":"cohere/embed-v4.0","images":["data:,"],"embedding_types":["int8"]}'),
        ("/v2/rerank", b'{ "model":"cohere/rerank-v3.5","query":"q","documents":["a"], "new":1.50}'),
    ],
)
async def test_cohere_gets_the_body_as_it_is_and_so_does_its_client(
    gateway: FakeGateway, path: str, asked: bytes
) -> None:
    came = b'{ "id":"1" , "new":1.50 }'
    gateway.workers.told = Told((Piece(native=(came,)),), OUTCOME)
    answer = await gateway.ask(path, asked)
    assert (answer.status, answer.body) == (200, came)
    (call,) = gateway.workers.calls
    assert call.input == NativeBody("cohere_v2", asked, {})


@pytest.mark.requirement("T-14")
async def test_native_events_pass_as_they_came(gateway: FakeGateway) -> None:
    first, last = b'{"type":"message-start" ,"id":"1"}', b'{ "type":"message-end"}  '
    gateway.workers.told = Told((Piece(native=(first,)), Piece(native=(last,))), OUTCOME)
    answer = await gateway.ask("/v2/chat", NATIVE % b',"stream":true')
    assert answer.body == (
        b"event: message-start\ndata: %s\n\nevent: message-end\ndata: %s\n\ndata: [DONE]\n\n" % (first, last)
    )


@pytest.mark.requirement("B-17", "T-14")
async def test_blocks_of_another_provider_make_the_body_one_to_translate(gateway: FakeGateway) -> None:
    block = OpaqueBlock(dialect="gemini_generate", json=b'{"thoughtSignature" : "x"}')
    gateway.workers.told = Told(
        (Piece(info=INFO, deltas=(TextDelta(text="a"), OpaqueDelta(block=block), Finish(reason="stop"))),), OUTCOME
    )
    turn = (await gateway.ask("/v2/chat", QUESTION)).json["message"]
    messages = [*QUESTION["messages"], turn, *QUESTION["messages"]]
    await gateway.ask("/v2/chat", {"model": "cohere/command", "messages": messages})
    asked = gateway.workers.calls[-1].input
    assert isinstance(asked, ChatInput)
    text, kept = asked.messages[1].parts
    assert text == Text(text="a")
    assert isinstance(kept, OpaqueBlock)
    assert (kept.dialect, json.loads(kept.json)) == (block.dialect, json.loads(block.json))


@pytest.mark.requirement("S26", "S34")
async def test_texts_are_embedded_by_any_provider(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((Piece(embeddings=((1.0,), (2.0,))),), OUTCOME)
    answer = await gateway.ask("/v2/embed", TEXTS)
    assert (answer.status, answer.json) == (
        200,
        {
            "id": REQUEST_ID,
            "embeddings": {"float": [[1.0], [2.0]]},
            "texts": ["a", "b"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}},
            "response_type": "embeddings_by_type",
        },
    )
    (call,) = gateway.workers.calls
    assert (call.operation, call.input) == (
        "embeddings",
        EmbeddingsInput(texts=("a", "b"), purpose="search_query"),
    )  # fmt: skip


async def test_documents_are_ordered_where_the_body_has_to_be_translated(gateway: FakeGateway) -> None:
    places = (RerankResult(index=1, score=0.5), RerankResult(index=0, score=0.25))
    gateway.workers.told = Told((Piece(rerank=places),), OUTCOME)
    answer = await gateway.ask("/v2/rerank", {**ORDER, "provider_blocks": None})
    assert (answer.status, answer.json["id"]) == (200, REQUEST_ID)
    assert [place["index"] for place in answer.json["results"]] == [1, 0]
    (call,) = gateway.workers.calls
    assert (call.operation, call.input) == ("rerank", RerankInput(query="q", documents=("a", "b")))


REFUSED: list[tuple[str, object, int, str]] = [
    ("/v2/chat", {**QUESTION, "messages": []}, 400, "invalid_request"),
    ("/v2/chat", {**QUESTION, "model": ""}, 400, "invalid_request"),
    ("/v2/chat", {**QUESTION, "stream": "yes"}, 400, "invalid_request"),
    ("/v2/chat", {**QUESTION, "model": "nobody/knows"}, 404, "model_not_found"),
    ("/v2/chat", {"messages": QUESTION["messages"]}, 400, "invalid_request"),
    ("/v2/chat", b"{", 400, "invalid_request"),
    ("/v2/chat", b" " * 100_001, 413, "request_too_large"),
    ("/v2/embed", {**TEXTS, "texts": []}, 400, "invalid_request"),
    ("/v2/embed", {**TEXTS, "embedding_types": ["int8"]}, 400, "unsupported_parameter"),
    ("/v2/embed", b"[]", 400, "invalid_request"),
    ("/v2/rerank", {**ORDER, "model": "nobody/knows"}, 404, "model_not_found"),
    ("/v2/rerank", {"query": "q", "documents": ["a"]}, 400, "invalid_request"),
    ("/v2/connectors", {}, 404, "unknown_url"),
]


@pytest.mark.requirement("L-28", "S28", "P-18")
@pytest.mark.parametrize(("path", "body", "status", "code"), REFUSED)
async def test_a_refusal_has_cohere_s_shape(
    gateway: FakeGateway, path: str, body: object, status: int, code: str
) -> None:
    answer = await gateway.ask(path, body)
    assert (answer.status, answer.json["code"], answer.json["id"]) == (status, code, REQUEST_ID)
    assert answer.json["message"]
    assert gateway.workers.calls == []


@pytest.mark.requirement("S28")
async def test_a_stranger_is_refused_in_the_same_shape(gateway: FakeGateway) -> None:
    answer = await gateway.ask("/v2/chat", QUESTION, headers={"authorization": ""})
    assert (answer.status, answer.json["id"]) == (401, REQUEST_ID)


@pytest.mark.requirement("L-28")
async def test_what_a_provider_says_about_waiting_is_passed_on(gateway: FakeGateway) -> None:
    gateway.workers.told = Told(error=ProviderRateLimited("Slow down.", retry_after_seconds=7))
    for is_stream in (False, True):
        answer = await gateway.ask("/v2/chat", {**QUESTION, "stream": is_stream})
        assert (answer.status, answer.headers["retry-after"], answer.json["message"]) == (429, "7", "Slow down.")


@pytest.mark.requirement("L-26", "P-3")
@pytest.mark.parametrize("model", ["fast", "cohere/command"])
async def test_a_stream_that_breaks_says_so_and_is_no_success(gateway: FakeGateway, model: str) -> None:
    begun = Piece(native=(b'{"type":"message-start"}',)) if model != "fast" else PIECES[0]
    gateway.workers.told = Told((begun,), error=UpstreamUnavailable("Overloaded"))
    answer = await gateway.ask("/v2/chat", {**QUESTION, "model": model, "stream": True})
    assert answer.status == 200
    end, done = answer.body.decode().split("\n\n")[-3:-1]
    assert json.loads(end.partition("data: ")[2])["delta"] == {
        "finish_reason": "ERROR",
        "error": "Overloaded",
        "error_type": "upstream_unavailable",
    }
    assert done == "data: [DONE]"
    assert "COMPLETE" not in answer.body.decode()
    assert gateway.events.ended == ["upstream_unavailable"]


async def test_a_body_that_is_none_is_an_error_of_the_provider(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((), OUTCOME)
    for path, asked in (("/v2/chat", NATIVE % b""), ("/v2/rerank", ORDER), ("/v2/embed", TEXTS)):
        assert (await gateway.ask(path, asked)).status == 502


@pytest.mark.requirement("L-24")
async def test_a_client_that_leaves_cancels_the_attempt(gateway: FakeGateway) -> None:
    gateway.workers.told = ANSWERED
    for is_stream in (False, True):
        gateway.workers.silence, gone = asyncio.Event(), asyncio.Event()
        gone.set()
        answer = await gateway.ask("/v2/chat", {**QUESTION, "stream": is_stream}, leaves=gone)
        assert b"message-end" not in answer.body
    assert gateway.workers.cancelled == gateway.workers.calls
