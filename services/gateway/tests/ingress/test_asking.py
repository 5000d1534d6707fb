"""The shared way of every model call: key, body, model, attempt, answer."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from told_gateway import API_KEY, CREATED, FakeGateway, Told

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.core.deltas import AnswerInfo, TextDelta
from llm_manager.core.errors import ProviderRateLimited, UpstreamUnavailable
from llm_manager.core.messages import ChatInput, Media, Message, Sampling, Text
from llm_manager.core.prices import Cost, CostState
from llm_manager.gateway.inference.rules import NativeBody, Outcome, Piece
from llm_manager.gateway.ingress.asking import admitted, caller_of
from llm_manager.gateway.ingress.opaque import packed
from llm_manager.gateway.ingress.routing import LeanRoute

Json = dict[str, Any]
QUESTION = ChatInput(messages=(Message(role="user", parts=(Text(text="Hi"),)),), sampling=Sampling(max_tokens=3))
SEEN = ChatInput(messages=(Message(role="user", parts=(Media(mime_type="audio/wav", data=b"x"),)),))
router = APIRouter(route_class=LeanRoute)


@router.post("/ask")
async def ask(request: Request) -> Response:
    """Speaks Cohere's dialect; `model`, `sound` and `user` of the body are what it reads."""
    asked = await admitted(request)
    body = json.loads(asked.body)
    call = asked.call(
        body.get("operation", "chat"),
        body["model"],
        dialect=body.get("dialect", "cohere_v2"),
        neutral=lambda: SEEN if body.get("sound") else QUESTION,
        end_user=body.get("user", ""),
    )
    answer = await asked.whole(call)
    made = asked.fallback(call, prefix="made_")
    text = "".join(delta.text for piece in answer.pieces for delta in piece.deltas if isinstance(delta, TextDelta))
    told = {"text": text, "id": made.id, "model": made.model, "cost": asked.with_cost}
    return asked.respond(answer.native or json.dumps(told).encode(), answer)


@router.get("/who")
async def who(request: Request) -> Response:
    return Response(caller_of(request).app_id)


@pytest.fixture
def gateway() -> FakeGateway:
    made = FakeGateway(router)
    info = AnswerInfo(id="a", model="m", created=CREATED)
    outcome = Outcome(cost=Cost(CostState.PRICED, 2_500_000_000))
    made.workers.told = Told((Piece(info=info, deltas=(TextDelta(text="Hello"),)),), outcome)
    return made


KEYS: list[tuple[str, Json, int]] = [
    ("/who", {"authorization": f"Bearer {API_KEY}"}, 200),
    ("/who", {"x-api-key": API_KEY}, 200),
    ("/who", {"x-goog-api-key": API_KEY}, 200),
    ("/who?key=KEY", {}, 200),
    ("/who", {}, 401),
    ("/who", {"x-api-key": "sk-other"}, 401),
    ("/who?key=KEY", {"authorization": "Basic abc"}, 401),
]


@pytest.mark.requirement("S36")
@pytest.mark.parametrize(("path", "headers", "status"), KEYS)
async def test_the_key_stands_where_the_client_s_dialect_keeps_it(
    gateway: FakeGateway, path: str, headers: Json, status: int
) -> None:
    answer = await gateway.ask(path.replace("KEY", API_KEY), headers={"authorization": "", **headers})
    assert answer.status == status
    if status == 401:
        assert answer.json["error"]["code"] == "invalid_api_key"
        assert API_KEY not in answer.body.decode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"content-encoding": "gzip"}, 415, "unsupported_media_type"),
        (b" " * 100_001, {}, 413, "request_too_large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    gateway: FakeGateway, body: bytes, headers: Json, status: int, code: str
) -> None:
    answer = await gateway.ask("/ask", body, headers=headers)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


@pytest.mark.requirement("L-11")
async def test_another_provider_is_asked_in_neutral_words(gateway: FakeGateway) -> None:
    answer = await gateway.ask("/ask", {"model": "fast", "user": "u" * 300})
    assert answer.json == {"text": "Hello", "id": "made_req-1", "model": "gpt", "cost": True}
    assert answer.headers["x-llm-manager-cost"] == "0.0025"
    (call,) = gateway.workers.calls
    assert (call.input, call.requested_model, call.target.upstream_model) == (QUESTION, "fast", "gpt")
    assert (call.end_user, call.deadline_seconds) == ("u" * 256, 600)


async def test_the_cost_may_be_switched_off(gateway: FakeGateway) -> None:
    answer = await gateway.ask("/ask", {"model": "fast"}, headers={"x-llm-manager-cost": " OFF "})
    assert answer.json["cost"] is False


@pytest.mark.requirement("T-14", "B-17")
async def test_a_provider_of_the_client_s_dialect_gets_the_body_unless_other_blocks_ride_in_it(
    gateway: FakeGateway,
) -> None:
    gateway.workers.told = Told((Piece(native=(b"[]",)),))
    body = b'{ "model":"cohere/command" }'
    assert (await gateway.ask("/ask", body)).body == b"[]"
    carrying = json.dumps({"model": "cohere/command", "block": packed(())}).encode()
    await gateway.ask("/ask", carrying)
    native, neutral = gateway.workers.calls
    assert native.input == NativeBody("cohere_v2", body)
    assert neutral.input == QUESTION


async def test_a_provider_gets_those_headers_of_its_client_that_its_facts_name(gateway: FakeGateway) -> None:
    gateway.workers.told = Told((Piece(native=(b"[]",)),))
    said = {"openai-beta": "a=v1", "openai-organization": "org", "x-other": "o", "idempotency-key": "k"}
    await gateway.ask("/ask", {"model": "openai/gpt", "dialect": "openai_chat"}, headers=said)
    await gateway.ask("/ask", {"model": "cohere/command"}, headers=said)
    openai, cohere = (call.input for call in gateway.workers.calls)
    assert isinstance(openai, NativeBody)
    assert isinstance(cohere, NativeBody)
    # the key is the app's own: all apps share the provider's account
    key = sha256(b"app\0k").hexdigest()
    assert openai.headers == {"openai-beta": "a=v1", "idempotency-key": key}
    assert cohere.headers == {}


async def test_an_error_brings_the_headers_of_its_provider(gateway: FakeGateway) -> None:
    error = ProviderRateLimited("Wait")
    sent = {"x-ratelimit-remaining-requests": "0", "x-groq-region": "eu", "set-cookie": "a=b", "x-bad": "a\r\nb: c"}
    error.detail = infer_pb2.Done(upstream_headers=sent).SerializeToString()
    gateway.workers.told = Told(error=error)
    headers = (await gateway.ask("/ask", {"model": "fast"})).headers
    assert {name: value for name, value in headers.items() if name in sent} == {
        "x-ratelimit-remaining-requests": "0",
        "x-groq-region": "eu",
    }
    error.detail = b"no Done"
    assert (await gateway.ask("/ask", {"model": "fast"})).status == 429


@pytest.mark.parametrize("native", [(), (b"{}", b"{}")])
async def test_a_native_answer_has_exactly_one_body(gateway: FakeGateway, native: tuple[bytes, ...]) -> None:
    gateway.workers.told = Told((Piece(native=native),))
    answer = await gateway.ask("/ask", {"model": "cohere/command"})
    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_protocol_error")


@pytest.mark.requirement("P-18", "S6", "L-28")
@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "nobody/knows"}, 404, "model_not_found", "model"),
        ({"model": "ollama/llama", "sound": True}, 400, "unsupported_parameter", "messages[0]"),
        ({"model": "openai/gpt", "operation": "rerank"}, 400, "invalid_request", "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_before_anybody_is_asked(
    gateway: FakeGateway, body: Json, status: int, code: str, param: str
) -> None:
    answer = await gateway.ask("/ask", body)
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (status, code, param)
    assert gateway.workers.calls == []


@pytest.mark.requirement("T-9")
@pytest.mark.parametrize(("hint", "seconds"), [("30", 30), ("1", 1), ("soon", 600), ("-1", 600), ("", 600)])
async def test_a_client_that_says_how_long_it_waits_gets_all_of_that_time(
    gateway: FakeGateway, hint: str, seconds: float
) -> None:
    await gateway.ask("/ask", {"model": "fast"}, headers={"x-stainless-read-timeout": hint})
    assert gateway.workers.calls[0].deadline_seconds == seconds


async def test_what_a_provider_failed_at_is_no_success(gateway: FakeGateway) -> None:
    gateway.workers.told = Told(gateway.workers.told.pieces, error=UpstreamUnavailable("Down"))
    answer = await gateway.ask("/ask", {"model": "fast"})
    assert (answer.status, answer.json["error"]["message"]) == (502, "Down")
    assert gateway.events.ended == ["upstream_unavailable"]
