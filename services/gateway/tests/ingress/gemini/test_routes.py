"""The routes of Gemini's dialect behind the real edge, key check, catalogue and use case; only the bus is a fake."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self, cast

import anyio
import pytest
import structlog.testing
from fastapi import FastAPI
from google.genai.types import GenerateContentResponse
from starlette.types import Message as AsgiMessage

from llm_manager.core.deltas import AnswerInfo, Finish, Model, TextDelta, TokenCount
from llm_manager.core.errors import LlmManagerError, UpstreamFailure, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.facts import load_facts
from llm_manager.core.ids import hash_api_key, new_api_key
from llm_manager.core.messages import ChatInput, CountTokensInput, EmbeddingsInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.records import AppRecord, ConfigurationRecord, KeyRecord, ProviderRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.http import errors
from llm_manager.gateway.http.edge import Drain, Edge
from llm_manager.gateway.inference.rules import Call, NativeBody, Outcome, Piece
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.ingress.gemini.endpoints import ROUTERS
from llm_manager.gateway.ingress.gemini.routing import ERROR_RULES
from llm_manager.gateway.ingress.openai import endpoints as openai
from llm_manager.gateway.keys.rules import KnownCallers
from llm_manager.gateway.parts import PARTS, Limits, Parts
from llm_manager.kit.sse import SseDecoder

Json = dict[str, Any]
PEPPER = b"p" * 32
KEY = new_api_key()
SNAPSHOT = Snapshot.of(
    [
        AppRecord(id="a", revision=1, name="default"),
        KeyRecord(id=KEY.id, revision=1, app_id="a", name="k", hash=hash_api_key(KEY.token, pepper=PEPPER)),
        ProviderRecord(id="p1", revision=1, name="google", kind="gemini"),
        ProviderRecord(id="p2", revision=1, name="openai", kind="openai"),
        ProviderRecord(id="p3", revision=1, name="groq", kind="groq"),
        ConfigurationRecord(id="c1", revision=1, name="fast", provider="openai", upstream_model="gpt-x"),
    ],
    is_complete=True,
)
PROMPT: Json = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
INFO = AnswerInfo(id="chatcmpl-1", model="gpt-x-2026", created=7)
SAID = (Piece(info=INFO, deltas=(TextDelta(text="Hi"),)), Piece(deltas=(Finish(reason="stop"),)))
USAGE = UsageReport(Usage(input_uncached=2, output_text=1), UsageSource.PROVIDER)
NATIVE = b'{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP"}],"future":1}'


@dataclass
class _Answer:
    """What `inference.client.Answer` is."""

    said: Sequence[Piece | LlmManagerError]
    report: UsageReport
    worker_id: str = "w1"
    ending: None = None

    def __post_init__(self) -> None:
        self._waiting = list(self.said)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def pieces(self) -> list[Piece]:
        if not self._waiting:
            return []
        piece = self._waiting.pop(0)
        if isinstance(piece, LlmManagerError):
            raise piece
        return [piece]

    def outcome(self) -> Outcome:
        return Outcome(report=self.report)


@dataclass
class FakeWorkers:
    """Stands for `WorkerClient` and for the events: answers from a script and remembers the calls."""

    said: Sequence[Piece | LlmManagerError] = SAID
    report: UsageReport = USAGE
    calls: list[Call] = field(default_factory=list[Call])

    def attempt(self, call: Call, **_: object) -> _Answer:
        self.calls.append(call)
        if call.operation == "models":
            return _Answer([Piece(models=(Model(id="m1"),))], self.report)
        return _Answer(self.said, self.report)

    def started(self, *_: object, **__: object) -> None: ...

    def completed(self, *_: object, **__: object) -> None: ...

    def record(self, *_: object) -> None: ...


class _Catalogue:
    """What `Catalogue` is once it has been read."""

    snapshot = SNAPSHOT
    is_current = True


@dataclass
class Reply:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _app(workers: FakeWorkers) -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(Edge, drain=Drain(), rules=ERROR_RULES)
    for router in (*ROUTERS, openai.router):
        app.include_router(router)
    fake: Any = workers  # the fakes have what is called of the classes that they stand for
    catalogue: Any = _Catalogue()
    facts = load_facts()
    parts = Parts(
        catalogue=catalogue,
        inference=Inference(fake, fake, fake, facts=facts.get),
        models=ModelDirectory(catalogue, fake, facts=facts.get),
        limits=Limits(max_body_bytes=100_000, heartbeat_seconds=10, request_timeout_seconds=60),
        known_callers=KnownCallers(pepper=PEPPER),
    )
    PARTS.put(app, parts)
    return app


async def _send(
    workers: FakeWorkers,
    path: str,
    body: Json | None = None,
    *,
    key: str | None = KEY.token,
    header: str = "x-goog-api-key",
    query: str = "",
) -> Reply:
    headers = [(b"content-type", b"application/json")]
    if key is not None:
        headers.append((header.encode(), key.encode()))
    scope: Json = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET" if body is None else "POST",
        "path": path if path.startswith("/v1") else f"/v1beta{path}",
        "raw_path": b"",
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    waiting: list[AsgiMessage] = [{"type": "http.request", "body": json.dumps(body).encode() if body else b""}]
    sent: list[AsgiMessage] = []

    async def receive() -> AsgiMessage:
        if waiting:
            return waiting.pop()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await _app(workers)(scope, receive, send)
    start, *rest = sent
    texts = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], texts, b"".join(cast("bytes", message.get("body", b"")) for message in rest))


def _events(reply: Reply) -> list[Json]:
    decoder = SseDecoder()
    return [json.loads(event.data) for event in (*decoder.feed(reply.body), *decoder.finish())]


@pytest.mark.requirement("S23", "B8")
async def test_a_prompt_goes_to_any_provider_and_comes_back_in_the_dialect() -> None:
    workers = FakeWorkers()
    reply = await _send(workers, "/models/fast:generateContent", PROMPT)
    (call,) = workers.calls
    assert (call.target.upstream_model, call.requested_model, call.is_stream) == ("gpt-x", "fast", False)
    assert isinstance(call.input, ChatInput)
    assert reply.json == {
        "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1, "totalTokenCount": 3},
        "modelVersion": "gpt-x-2026",
        "responseId": "chatcmpl-1",
    }
    assert GenerateContentResponse.model_validate_json(reply.body).text == "Hi"
    assert (reply.status, reply.headers["x-llm-manager-provider"]) == (200, "openai")


@pytest.mark.requirement("B-17", "T-14")
async def test_gemini_itself_gets_the_body_and_gives_the_answer_as_they_are() -> None:
    workers = FakeWorkers(said=[Piece(native=(NATIVE,))])
    body: Json = {**PROMPT, "future": {"seed": 1}}
    reply = await _send(workers, "/models/google/gemini-3-pro:generateContent", body)
    (call,) = workers.calls
    assert call.input == NativeBody("gemini_generate", json.dumps(body).encode())
    assert (call.target.upstream_model, reply.body) == ("gemini-3-pro", NATIVE)


@pytest.mark.requirement("S23")
@pytest.mark.parametrize("model", ["fast", "google/gemini-3-pro"])
async def test_a_stream_is_events_with_alt_sse_and_else_an_array(model: str) -> None:
    def workers() -> FakeWorkers:
        return (
            FakeWorkers() if model == "fast" else FakeWorkers(said=[Piece(native=(NATIVE,)), Piece(native=(NATIVE,))])
        )

    path = f"/models/{model}:streamGenerateContent"
    events = await _send(workers(), path, PROMPT, query="alt=sse")
    array = await _send(workers(), path, PROMPT)
    assert events.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert array.headers["content-type"] == "application/json; charset=utf-8"
    assert _events(events) == array.json
    assert [document["candidates"][0].get("finishReason") for document in array.json][-1] == "STOP"
    assert len(array.json) == 2


@pytest.mark.requirement("L-26", "L-28", "S28")
async def test_an_error_before_the_first_byte_has_a_status_and_after_it_ends_the_stream() -> None:
    path, failure = "/models/fast:streamGenerateContent", UpstreamUnavailable("Overloaded; retry.")
    early = await _send(FakeWorkers(said=[failure]), path, PROMPT, query="alt=sse")
    late = await _send(FakeWorkers(said=[SAID[0], failure]), path, PROMPT, query="alt=sse")
    assert (early.status, early.json["error"]["status"]) == (502, "UNAVAILABLE")
    said, error = _events(late)
    assert (late.status, "finishReason" in said["candidates"][0]) == (200, False)
    assert error == early.json | {"error": {**early.json["error"], "details": error["error"]["details"]}}


@pytest.mark.requirement("L-28", "S28")
async def test_a_refusal_of_the_provider_stays_what_it_is() -> None:
    refusal = UpstreamRefused("Too long.", upstream=UpstreamFailure(400, code="400", type="FAILED_PRECONDITION"))
    reply = await _send(FakeWorkers(said=[refusal]), "/models/google/m:generateContent", PROMPT)
    error = reply.json["error"]
    assert (reply.status, error["code"], error["status"], error["message"]) == (
        400,
        400,
        "FAILED_PRECONDITION",
        "Too long.",
    )


async def test_a_key_in_the_address_opens_and_reaches_no_log_and_no_answer() -> None:
    with structlog.testing.capture_logs() as logs:
        good = await _send(FakeWorkers(), "/models/fast:generateContent", PROMPT, key=None, query=f"key={KEY.token}")
        unknown = await _send(FakeWorkers(), "/models/none:generateContent", PROMPT, query=f"key={KEY.token}")
        lost = await _send(FakeWorkers(), "/nothing", PROMPT, query=f"key={KEY.token}")
        wrong = await _send(FakeWorkers(), "/models", key=None, query=f"key={KEY.token}x")
    assert [reply.status for reply in (good, unknown, lost, wrong)] == [200, 404, 404, 401]
    assert [line["status"] for line in logs if line["event"] == "request_answered"] == [200, 404, 404, 401]
    assert KEY.token not in repr(logs)
    assert all(KEY.token.encode() not in reply.body for reply in (good, unknown, lost, wrong))


REFUSED: list[tuple[str, Json, str | None, tuple[int, str, str]]] = [
    ("/models/fast:generateContent", PROMPT, None, (401, "UNAUTHENTICATED", "API_KEY_INVALID")),
    ("/models/none:generateContent", PROMPT, KEY.token, (404, "NOT_FOUND", "MODEL_NOT_FOUND")),
    ("/models/fast:generateContent", {"a": 1}, KEY.token, (400, "INVALID_ARGUMENT", "INVALID_REQUEST")),
    ("/models/fast:generateContent", {"contents": []}, KEY.token, (400, "INVALID_ARGUMENT", "INVALID_REQUEST")),
    (
        "/models/fast:generateContent",
        {**PROMPT, "toolConfig": {"x": 1}},
        KEY.token,
        (400, "INVALID_ARGUMENT", "UNSUPPORTED_PARAMETER"),
    ),
    ("/models/fast:batchEmbedContents", {"requests": []}, KEY.token, (400, "INVALID_ARGUMENT", "INVALID_REQUEST")),
    (
        "/models/fast:embedContent",
        {"content": {}, "requests": [{}]},
        KEY.token,
        (400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    ),
    ("/models/fast:predict", PROMPT, KEY.token, (405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED")),
]


@pytest.mark.requirement("S28", "L-28")
@pytest.mark.parametrize(("path", "body", "key", "expected"), REFUSED, ids=range(len(REFUSED)))
async def test_every_refusal_has_google_s_shape(
    path: str, body: Json, key: str | None, expected: tuple[int, str, str]
) -> None:
    workers = FakeWorkers()
    reply = await _send(workers, path, body, key=key)
    error = reply.json["error"]
    assert (reply.status, error["status"], error["details"][0]["reason"]) == expected
    assert error["code"] == reply.status
    assert not workers.calls


async def test_tokens_are_counted_by_the_provider_or_estimated_and_say_so() -> None:
    counted = FakeWorkers(said=[Piece(native=(b'{"totalTokens":4}',))])
    native = await _send(counted, "/models/google/m:countTokens", PROMPT)
    estimated = await _send(FakeWorkers(), "/models/groq/m:countTokens", {"generateContentRequest": PROMPT})
    assert (native.json, native.headers.get("x-llm-manager-usage-source")) == ({"totalTokens": 4}, None)
    assert (estimated.json, estimated.headers["x-llm-manager-usage-source"]) == ({"totalTokens": 2}, "estimated")


async def test_a_count_in_neutral_words_is_rendered() -> None:
    # a body that holds another provider's blocks is translated, even for Gemini itself
    workers = FakeWorkers(said=[Piece(token_count=TokenCount(input_tokens=9, cached_tokens=3))])
    model = {"role": "model", "parts": [{"text": "x", "thoughtSignature": "bG0xLlcxMD0="}]}
    reply = await _send(workers, "/models/google/m:countTokens", {"contents": [*PROMPT["contents"], model]})
    assert isinstance(workers.calls[0].input, CountTokensInput)
    assert reply.json == {"totalTokens": 9, "cachedContentTokenCount": 3}


@pytest.mark.requirement("S34")
async def test_texts_become_vectors_in_their_order() -> None:
    content: Json = {"parts": [{"text": "a"}]}
    one = FakeWorkers(said=[Piece(embeddings=((0.5, 1.0),))])
    reply = await _send(one, "/models/openai/text-embedding-3-small:embedContent", {"content": content})
    assert reply.json == {"embedding": {"values": [0.5, 1.0]}, "usageMetadata": {"promptTokenCount": 2}}
    two = FakeWorkers(said=[Piece(embeddings=((1.0,), (2.0,)))])
    asked = {"requests": [{"content": content}, {"content": {"parts": [{"text": "b"}]}}]}
    reply = await _send(two, "/models/openai/text-embedding-3-small:batchEmbedContents", asked)
    assert reply.json["embeddings"] == [{"values": [1.0]}, {"values": [2.0]}]
    assert isinstance(asked_for := two.calls[0].input, EmbeddingsInput)
    assert asked_for.texts == ("a", "b")


@pytest.mark.requirement("S12")
async def test_models_are_listed_and_described_in_the_dialect() -> None:
    listed = (await _send(FakeWorkers(), "/models")).json
    assert [model["name"] for model in listed["models"]] == [
        *("models/fast", "models/google/m1", "models/openai/m1", "models/groq/m1")
    ]
    one = (await _send(FakeWorkers(), "/models/models/fast")).json
    assert one == listed["models"][0]
    missing = await _send(FakeWorkers(), "/models/none")
    assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.requirement("S23")
@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_clients_find_the_api_under_every_version_that_they_ask_for(version: str) -> None:
    reply = await _send(FakeWorkers(), f"/{version}/models/fast:generateContent", PROMPT)
    assert reply.json["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]
    refused = await _send(FakeWorkers(), f"/{version}/models/fast:generateContent", {}, key=None)
    assert refused.json["error"]["status"] == "UNAUTHENTICATED"
    models = (await _send(FakeWorkers(), f"/{version}/models")).json["models"]
    described = await _send(FakeWorkers(), f"/{version}/models/fast", key=None, query=f"a=1&key={KEY.token}")
    assert described.json == models[0]
    missing = await _send(FakeWorkers(), f"/{version}/models/none")
    assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")


async def test_under_v1_everybody_else_gets_openai_s_models() -> None:
    reply = await _send(FakeWorkers(), "/v1/models", key=f"Bearer {KEY.token}", header="authorization")
    assert (reply.json["object"], reply.json["data"][0]["id"]) == ("list", "fast")
    missing = await _send(FakeWorkers(), "/v1/models/none", key=f"Bearer {KEY.token}", header="authorization")
    assert (missing.status, missing.json["error"]["code"]) == (404, "model_not_found")
