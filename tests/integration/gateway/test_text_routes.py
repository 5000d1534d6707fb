"""Completions, rerank and the short form over a real gateway, read by the SDKs that know them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cohere
import httpx2
import openai
import pytest
from openai.types import Completion

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import ProviderRateLimited, UnsupportedParameter, UpstreamTimeout
from llm_manager.kit.bus.connection import Bus
from llm_manager.testing.answering_worker import (
    AnsweringWorker,
    answering,
    answering_worker,
    chunk,
    done,
    failing,
    finish,
    native,
    text,
)

FACTS = """
kind = "{kind}"
title = "{kind}"
source = ["this test"]
checked_on = 2026-11-24
dialect = "{dialect}"
also = {also}
base_url = "http://127.0.0.1:9"
base_url_env = "TEST_BASE_URL"
needs_credential = false
operations = ["chat", "rerank", "count_tokens"]
capabilities = ["streaming", "tools"]
[finish_reasons]
stop = "stop"
"""
KINDS: dict[str, tuple[str, list[str]]] = {
    "chats": ("ollama_chat", []),
    "completes": ("openai_chat", ["openai_completions"]),
    "searches": ("cohere_v2", []),
}
INFO = chat_pb2.AnswerInfo(id="i1", model="m-2026", created=5)
USED = done(
    usage=event_pb2.Usage(input_uncached=10, cache_read=5, output_text=3, output_reasoning=4, requests=1),
    cost_picousd=123_450_000,
)
SEARCHED = done(usage=event_pb2.Usage(search_units=1, requests=1), cost_picousd=2_000_000_000)
RANKED = infer_pb2.Chunk(
    rerank=[chat_pb2.RerankResult(index=1, score=0.9), chat_pb2.RerankResult(index=0, score=0.25)]
).SerializeToString()
TALKING = answering(chunk(text("upon "), info=INFO), chunk(text("a time"), finish()), end=USED)
DOCUMENTS = ["Paris", "Matz"]


@dataclass(frozen=True)
class Place:
    http: httpx2.AsyncClient
    sdk: openai.AsyncOpenAI
    cohere_v1: cohere.AsyncClient
    cohere_v2: cohere.AsyncClientV2
    worker: AnsweringWorker

    @property
    def asked(self) -> infer_pb2.InferRequest:
        (request,) = self.worker.requests
        return request


@pytest.fixture
async def place(start: Any, bus: Bus, tmp_path: Path) -> AsyncGenerator[Place]:
    folder = tmp_path / "facts"
    folder.mkdir()
    for kind, (dialect, also) in KINDS.items():
        (folder / f"{kind}.toml").write_text(FACTS.format(kind=kind, dialect=dialect, also=json.dumps(also)))
    async with AsyncExitStack() as parts:
        environ = {"TEST_BASE_URL": "http://127.0.0.1:9"}
        served = await parts.enter_async_context(start(environ=environ, facts_dir=folder))
        yield Place(
            http=await parts.enter_async_context(
                httpx2.AsyncClient(base_url=served.url, headers=served.bearer, timeout=10)
            ),
            sdk=await parts.enter_async_context(
                openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.api_key, max_retries=0)
            ),
            cohere_v1=await parts.enter_async_context(cohere.AsyncClient(api_key=served.api_key, base_url=served.url)),
            cohere_v2=await parts.enter_async_context(
                cohere.AsyncClientV2(api_key=served.api_key, base_url=served.url)
            ),
            worker=await parts.enter_async_context(answering_worker(bus, list(KINDS))),
        )


def _event_lines(body: str) -> list[str]:
    return [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]


async def test_a_completion_of_a_model_that_chats_is_read_by_the_sdk(place: Place) -> None:
    place.worker.script = TALKING
    answer = await place.sdk.completions.create(model="chats/m", prompt="Once", max_tokens=5, seed=3, user="ann")
    assert Completion.model_validate(answer.model_dump(), strict=True)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion", "upon a time", "stop",
    )  # fmt: skip
    usage = answer.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (15, 7, 22)
    asked = place.asked
    assert (asked.chat.messages[0].parts[0].text, asked.chat.sampling.max_tokens) == ("Once", 5)
    assert (asked.attribution.end_user, asked.chat.extension) == ("ann", b'{"user":"ann"}')


@pytest.mark.requirement("L-5", "P-5")
async def test_a_streamed_completion_is_read_by_the_sdk(place: Place) -> None:
    place.worker.script = TALKING
    stream = await place.sdk.completions.create(
        model="chats/m", prompt="Once", stream=True, stream_options={"include_usage": True}
    )
    chunks = [item async for item in stream]
    assert {item.id for item in chunks} == {"i1"}
    assert [[choice.text for choice in item.choices] for item in chunks] == [["upon "], ["a time"], [""], []]
    assert [item.usage is None for item in chunks] == [True, True, True, False]
    assert chunks[2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens == 22


async def test_a_stream_ends_with_done_and_shows_no_usage_to_who_did_not_ask(place: Place) -> None:
    place.worker.script = TALKING
    answer = await place.http.post("/v1/completions", json={"model": "chats/m", "prompt": "Once", "stream": True})
    lines = _event_lines(answer.text)
    assert (answer.headers["content-type"], lines[-1]) == ("text/event-stream; charset=utf-8", "[DONE]")
    assert "usage" not in answer.text
    assert "null" not in [choice["text"] for line in lines[:-1] for choice in json.loads(line)["choices"]]


async def test_a_provider_that_completes_texts_gets_the_body_as_it_is(place: Place) -> None:
    upstream = {"id": "n1", "object": "text_completion", "created": 5, "model": "x", "choices": [], "new": [1]}
    place.worker.script = answering(native(upstream), end=USED)
    body = {"model": "completes/m", "prompt": [[1, 2], [3]], "echo": True, "best_of": 3, "logprobs": 0, "suffix": "x"}
    answer = await place.http.post("/v1/completions", json=body)
    usage = answer.json().pop("usage")
    assert answer.json() == {**upstream, "usage": usage}
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (15, 22)
    assert place.asked.native_chat.dialect == "openai_completions"
    assert json.loads(place.asked.native_chat.body) == body


@pytest.mark.requirement("B-14", "P-18")
async def test_what_a_model_that_chats_cannot_do_is_refused_before_anybody_is_asked(place: Place) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await place.sdk.completions.create(model="chats/m", prompt="Once", suffix="}")
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "suffix")
    assert place.worker.requests == []


async def test_an_error_inside_a_streamed_completion_is_the_sdks_error(place: Place) -> None:
    place.worker.script = failing(UpstreamTimeout("too slow"), chunk(text("upon"), info=INFO))
    stream = await place.sdk.completions.create(model="chats/m", prompt="Once", stream=True)
    with pytest.raises(openai.APIError, match="too slow"):
        [item async for item in stream]


async def test_documents_are_ranked_for_clients_of_cohere_whoever_ranks_them(place: Place) -> None:
    place.worker.script = answering(RANKED, end=SEARCHED)
    for model in ("chats/m", "searches/m"):
        ranked = await place.cohere_v1.rerank(
            model=model, query="Who wrote Ruby?", documents=DOCUMENTS, top_n=1, return_documents=True
        )
        (result,) = ranked.results
        assert (result.index, result.relevance_score) == (1, 0.9)
        assert result.document is not None
        assert result.document.text == "Matz"
        assert ranked.meta is not None
        assert ranked.meta.billed_units is not None
        assert ranked.meta.billed_units.search_units == 1
    first, second = (request.rerank for request in place.worker.requests)
    assert first == second == chat_pb2.RerankInput(query="Who wrote Ruby?", documents=DOCUMENTS, top_n=1)


async def test_documents_are_ranked_for_clients_of_jina(place: Place) -> None:
    place.worker.script = answering(RANKED, end=SEARCHED)
    body = {"model": "chats/m", "query": "q", "documents": [{"text": item} for item in DOCUMENTS]}
    answer = await place.http.post("/v1/rerank", json=body)
    ranked = answer.json()
    assert ranked.pop("id").startswith("rerank-")
    assert ranked == {
        "model": "m",
        "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.25}],
        "usage": {"prompt_tokens": 0, "total_tokens": 0, "search_units": 1, "cost": 0.002},
        "meta": {"billed_units": {"search_units": 1}},
    }
    assert answer.headers["x-llm-manager-cost"] == "0.002"


@pytest.mark.parametrize(
    ("model", "dialect", "added"),
    [
        ("completes/m", "openai_chat", {"usage": {"prompt_tokens": 0, "total_tokens": 0, "search_units": 1}}),
        (
            "searches/m",
            "cohere_v2",
            {"usage": {"prompt_tokens": 0, "total_tokens": 0, "search_units": 1}, "model": "m"},
        ),
    ],
)
async def test_a_provider_of_the_same_form_ranks_the_body_as_it_is(
    model: str, dialect: str, added: dict[str, Any], place: Place
) -> None:
    upstream = {"id": "c1", "results": [{"index": 1, "relevance_score": 0.9, "new": 1}]}
    place.worker.script = answering(native(upstream), end=SEARCHED)
    body = {"model": model, "query": "q", "documents": DOCUMENTS, "max_tokens_per_doc": 9}
    answer = await place.http.post("/v1/rerank", json=body, headers={"x-llm-manager-cost": "off"})
    assert answer.json() == {**upstream, **added}
    assert (place.asked.native_rerank.dialect, json.loads(place.asked.native_rerank.body)) == (dialect, body)


async def test_a_provider_that_cannot_rank_is_refused_early(place: Place) -> None:
    answer = await place.http.post("/v1/rerank", json={"model": "chats/m", "query": "q", "documents": []})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "documents")
    echo = await place.http.post("/v1/rerank", json={"model": "echo", "query": "q", "documents": ["a"]})
    assert (echo.status_code, echo.json()["error"]["param"]) == (400, "model")
    assert place.worker.requests == []


@pytest.mark.requirement("S32")
@pytest.mark.parametrize("model", ["chats/m", "completes/m"])
async def test_the_short_form_answers_with_text_usage_cost_time_and_log_id(model: str, place: Place) -> None:
    place.worker.script = TALKING
    answer = await place.http.post(
        "/api/v1/generate",
        json={
            "configuration": model, "prompt": "Once", "context": ["Be brief", "Be kind"],
            "parameters": {"temperature": 0, "max_tokens": 5}, "extension": {"safe_prompt": True}, "user": "ann",
        },
    )  # fmt: skip
    body = answer.json()
    assert 0 <= body.pop("time_ms") < 10_000
    assert body == {
        "text": "upon a time",
        "finish_reason": "stop",
        "model": "m-2026",
        "provider": model.partition("/")[0],
        "usage": {
            "input_tokens": 15, "output_tokens": 7, "total_tokens": 22, "cache_read_tokens": 5,
            "cache_write_tokens": 0, "reasoning_tokens": 4, "source": "provider",
        },
        "cost": {"amount_usd": 0.00012345, "state": "priced"},
        "log_id": answer.headers["x-request-id"],
    }  # fmt: skip
    asked = place.asked
    assert (asked.attribution.request_id, asked.attribution.end_user) == (body["log_id"], "ann")
    said = [(message.role, [part.text for part in message.parts]) for message in asked.chat.messages]
    assert said == [(chat_pb2.ROLE_SYSTEM, ["Be brief", "Be kind"]), (chat_pb2.ROLE_USER, ["Once"])]
    assert (asked.chat.sampling.max_tokens, asked.chat.extension) == (5, b'{"safe_prompt":true}')


@pytest.mark.requirement("S32")
async def test_the_short_form_streams_texts_and_then_its_account(place: Place) -> None:
    place.worker.script = TALKING
    answer = await place.http.post(
        "/api/v1/generate", json={"configuration": "chats/m", "prompt": "Once", "stream": True}
    )
    *texts, account = map(json.loads, _event_lines(answer.text))
    assert texts == [{"text": "upon "}, {"text": "a time"}]
    assert (account["finish_reason"], account["log_id"]) == ("stop", answer.headers["x-request-id"])
    assert (account["usage"]["total_tokens"], account["cost"]["amount_usd"]) == (22, 0.00012345)


@pytest.mark.requirement("S32", "B-2")
@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "Hi", "parameters": {"temperature": "hot"}}, "parameters.temperature"),
        ({"prompt": "Hi", "budget": {}}, "budget"),
    ],
)
async def test_bad_input_of_the_short_form_is_a_422_that_names_the_field(
    members: dict[str, Any], param: str, place: Place
) -> None:
    answer = await place.http.post("/api/v1/generate", json={"configuration": "chats/m", **members})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (422, param, "invalid_request_error")
    assert place.worker.requests == []


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_a_worker_refuses_is_a_422_too(is_stream: bool, place: Place) -> None:
    place.worker.script = failing(UnsupportedParameter("no seed here", param="seed"))
    body = {"configuration": "chats/m", "prompt": "Hi", "parameters": {"seed": 1}, "stream": is_stream}
    answer = await place.http.post("/api/v1/generate", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (422, "parameters.seed", "unsupported_parameter")


async def test_other_failures_of_the_short_form_keep_their_status(place: Place) -> None:
    unknown = await place.http.post("/api/v1/generate", json={"configuration": "nothing", "prompt": "Hi"})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "configuration")
    place.worker.script = failing(ProviderRateLimited("wait", retry_after_seconds=3))
    limited = await place.http.post("/api/v1/generate", json={"configuration": "chats/m", "prompt": "Hi"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    nobody = await place.http.post("/api/v1/generate", json={}, headers={"authorization": "Bearer x"})
    assert nobody.status_code == 401
