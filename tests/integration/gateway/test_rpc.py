"""InferenceService over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import httpx2
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2, inference_service_pb2, inference_service_pb2_grpc
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import (
    AuthenticationFailed,
    InvalidRequest,
    LlmManagerError,
    ModelNotFound,
    UnsupportedParameter,
    UpstreamRefused,
)
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.rpc import rpc_errors
from llm_manager.testing.answering_worker import (
    AnsweringWorker,
    answering,
    answering_worker,
    chunk,
    done,
    failing,
    finish,
    hanging,
    text,
)

INFO = chat_pb2.AnswerInfo(id="i", model="m", created=5)
ASKED = chat_pb2.ChatInput(
    messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="Hi")])],
    sampling=chat_pb2.Sampling(temperature=0.0),
)


@pytest.fixture
async def opened(served: Any) -> AsyncGenerator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(served.grpc_address) as channel:
        yield channel


@pytest.fixture
def stub(opened: grpc.aio.Channel) -> Any:
    return inference_service_pb2_grpc.InferenceServiceStub(opened)


@pytest.fixture
def metadata(served: Any) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {served.api_key}")]


async def test_a_chat_comes_in_one_piece_with_its_account(stub: Any, metadata: Any, worker: AnsweringWorker) -> None:
    worker.script = answering(chunk(text("Hel"), info=INFO), chunk(text("lo"), finish()), end=done(cost_picousd=7))
    request = inference_service_pb2.ChatRequest(model="echo", input=ASKED)
    response = await stub.Chat(request, metadata=metadata, timeout=5)
    assert (response.info, list(response.deltas)) == (INFO, [text("Hel"), text("lo"), finish()])
    summary = response.summary
    assert (summary.cost.total_picousd, summary.provider, summary.upstream_model) == (7, "echo", "echo")
    assert summary.usage == event_pb2.Usage(input_uncached=3, output_text=2, requests=1)
    (asked,) = worker.requests
    assert (asked.chat, asked.attribution.request_id) == (ASKED, summary.request_id)
    # the caller's own deadline goes along
    assert asked.timeout_ms < 6_000


async def test_a_chat_comes_piece_by_piece(stub: Any, metadata: Any, worker: AnsweringWorker) -> None:
    worker.script = answering(chunk(text("Hel"), info=INFO), chunk(text("lo"), finish()))
    request = inference_service_pb2.StreamChatRequest(model="default", input=ASKED)
    pieces = [piece async for piece in stub.StreamChat(request, metadata=metadata, timeout=5)]
    assert [list(piece.deltas) for piece in pieces] == [[text("Hel")], [text("lo"), finish()], []]
    assert [piece.HasField("info") for piece in pieces] == [True, False, False]
    assert [piece.HasField("summary") for piece in pieces] == [False, False, True]


async def test_texts_are_embedded_and_models_listed(stub: Any, metadata: Any, worker: AnsweringWorker) -> None:
    vector = chat_pb2.Embedding(values=[0.5])
    worker.script = answering(infer_pb2.Chunk(embeddings=[vector]).SerializeToString())
    texts = chat_pb2.EmbeddingsInput(texts=["a"])
    embedded = await stub.Embed(
        inference_service_pb2.EmbedRequest(model="echo-embedding", input=texts), metadata=metadata, timeout=5
    )
    assert list(embedded.embeddings) == [vector]
    listed = await stub.ListModels(inference_service_pb2.ListModelsRequest(), metadata=metadata, timeout=5)
    assert {"echo", "default", "gpt-4.1-mini"} <= {model.id for model in listed.models}


@pytest.mark.parametrize(
    ("model", "messages", "key", "error", "status"),
    [
        ("echo", 1, None, AuthenticationFailed, grpc.StatusCode.UNAUTHENTICATED),
        ("echo", 1, "Bearer x", AuthenticationFailed, grpc.StatusCode.UNAUTHENTICATED),
        ("nothing", 1, "good", ModelNotFound, grpc.StatusCode.NOT_FOUND),
        ("echo", 0, "good", InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
        ("echo", 1, "good", UpstreamRefused, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_failures_are_the_same_as_over_http(
    model: str,
    messages: int,
    key: str | None,
    error: type[LlmManagerError],
    status: grpc.StatusCode,
    is_stream: bool,
    stub: Any,
    metadata: Any,
    worker: AnsweringWorker,
) -> None:
    worker.script = failing(UpstreamRefused("the provider said no", param="x"))
    shown = metadata if key == "good" else [] if key is None else [("authorization", key)]
    asked = ASKED if messages else chat_pb2.ChatInput()
    with pytest.raises(error) as caught, rpc_errors():  # noqa: PT012 # two ways to call
        if is_stream:
            request = inference_service_pb2.StreamChatRequest(model=model, input=asked)
            [piece async for piece in stub.StreamChat(request, metadata=shown, timeout=5)]
        else:
            await stub.Chat(inference_service_pb2.ChatRequest(model=model, input=asked), metadata=shown, timeout=5)
    cause = caught.value.__cause__
    assert isinstance(cause, grpc.aio.AioRpcError)
    assert cause.code() is status


async def test_a_caller_that_goes_away_cancels_the_worker(stub: Any, metadata: Any, worker: AnsweringWorker) -> None:
    worker.script = hanging(chunk(text("Hi")))
    request = inference_service_pb2.StreamChatRequest(model="echo", input=ASKED)
    call = stub.StreamChat(request, metadata=metadata, timeout=10)
    await call.read()
    call.cancel()
    async with asyncio.timeout(1):
        assert await worker.cancellations.get() == "client_disconnected"


@pytest.mark.requirement("S33")
async def test_an_answer_has_the_same_fields_as_over_http(
    stub: Any, metadata: Any, worker: AnsweringWorker, http: httpx2.AsyncClient
) -> None:
    used = event_pb2.Usage(input_uncached=10, cache_read=5, output_text=3, output_reasoning=4, requests=1)
    worker.script = answering(chunk(text("Hello"), finish("length"), info=INFO), end=done(usage=used, cost_picousd=7))
    asked = {"configuration": "echo", "prompt": "Hi", "parameters": {"temperature": 0}}
    shown = (await http.post("/api/v1/generate", json=asked)).json()
    answer = await stub.Chat(inference_service_pb2.ChatRequest(model="echo", input=ASKED), metadata=metadata, timeout=5)
    summary = answer.summary
    first, second = worker.requests
    assert first.chat == second.chat == ASKED
    assert {
        "text": "".join(delta.text for delta in answer.deltas),
        "finish_reason": answer.deltas[-1].finish.reason,
        "model": answer.info.model,
        "provider": summary.provider,
        "input_tokens": summary.usage.input_uncached + summary.usage.cache_read,
        "cache_read_tokens": summary.usage.cache_read,
        "output_tokens": summary.usage.output_text + summary.usage.output_reasoning,
        "reasoning_tokens": summary.usage.output_reasoning,
        "source": event_pb2.UsageSource.Name(summary.usage_source).removeprefix("USAGE_SOURCE_").lower(),
        "amount_picousd": summary.cost.total_picousd,
        "state": event_pb2.CostState.Name(summary.cost.state).removeprefix("COST_STATE_").lower(),
    } == {
        **{name: shown[name] for name in ("text", "finish_reason", "model", "provider")},
        **{name: shown["usage"][name] for name in ("input_tokens", "cache_read_tokens", "output_tokens")},
        **{name: shown["usage"][name] for name in ("reasoning_tokens", "source")},
        "amount_picousd": round(shown["cost"]["amount_usd"] * 1e12),
        "state": shown["cost"]["state"],
    }
    assert shown["log_id"] == first.attribution.request_id
    assert summary.request_id == second.attribution.request_id


@pytest.mark.requirement("S34")
async def test_a_list_of_texts_is_as_many_vectors_in_order(stub: Any, metadata: Any, worker: AnsweringWorker) -> None:
    vectors = [chat_pb2.Embedding(values=[float(number)]) for number in range(3)]
    first, rest = infer_pb2.Chunk(embeddings=vectors[:1]), infer_pb2.Chunk(embeddings=vectors[1:])
    worker.script = answering(first.SerializeToString(), rest.SerializeToString())
    texts = chat_pb2.EmbeddingsInput(texts=["a", "b", "c"], purpose="search_query")
    request = inference_service_pb2.EmbedRequest(model="echo-embedding", input=texts)
    embedded = await stub.Embed(request, metadata=metadata, timeout=5)
    assert list(embedded.embeddings) == vectors
    assert worker.requests[0].embeddings == texts


FACTS = """
kind = "ranks"
title = "Ranks"
source = ["this test"]
checked_on = 2026-11-24
dialect = "openai_chat"
base_url_env = "RANKS_BASE_URL"
needs_credential = false
operations = ["chat", "rerank", "count_tokens"]
capabilities = []
[finish_reasons]
stop = "stop"
"""


@dataclass(frozen=True)
class Ranking:
    stub: Any  # the stub is typed for the synchronous API
    metadata: list[tuple[str, str]]
    worker: AnsweringWorker


@pytest.fixture
async def ranking(start: Any, bus: Bus, tmp_path: Path) -> AsyncGenerator[Ranking]:
    """A gateway with a provider that ranks and counts, and a worker for it."""
    folder = tmp_path / "facts"
    folder.mkdir()
    (folder / "ranks.toml").write_text(FACTS)
    environ = {"RANKS_BASE_URL": "http://127.0.0.1:9"}
    async with (
        start(environ=environ, facts_dir=folder) as served,
        grpc.aio.insecure_channel(served.grpc_address) as channel,
        answering_worker(bus, ["ranks", "echo"]) as worker,
    ):
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        yield Ranking(stub, [("authorization", f"Bearer {served.api_key}")], worker)


RERANK = chat_pb2.RerankInput(query="q", documents=["a", "b"], top_n=2)


async def test_documents_are_ranked_with_their_account(ranking: Ranking) -> None:
    results = [chat_pb2.RerankResult(index=1, score=0.9), chat_pb2.RerankResult(index=0, score=0.1)]
    searched = done(usage=event_pb2.Usage(search_units=1, requests=1), cost_picousd=5)
    ranking.worker.script = answering(infer_pb2.Chunk(rerank=results).SerializeToString(), end=searched)
    request = inference_service_pb2.RerankRequest(model="ranks/m", input=RERANK)
    ranked = await ranking.stub.Rerank(request, metadata=ranking.metadata, timeout=5)
    assert list(ranked.results) == results
    assert (ranked.summary.usage.search_units, ranked.summary.cost.total_picousd) == (1, 5)
    (asked,) = ranking.worker.requests
    assert (asked.rerank, asked.attribution.request_id) == (RERANK, ranked.summary.request_id)


async def test_what_cannot_be_ranked_is_refused_before_anybody_is_asked(ranking: Ranking) -> None:
    for model, asked in (("ranks/m", chat_pb2.RerankInput(query="q")), ("echo", RERANK)):
        request = inference_service_pb2.RerankRequest(model=model, input=asked)
        with pytest.raises(InvalidRequest), rpc_errors():
            await ranking.stub.Rerank(request, metadata=ranking.metadata, timeout=5)
    with pytest.raises(AuthenticationFailed), rpc_errors():
        await ranking.stub.Rerank(inference_service_pb2.RerankRequest(model="ranks/m", input=RERANK), timeout=5)
    assert ranking.worker.requests == []


async def test_a_prompt_is_counted_by_its_provider(ranking: Ranking) -> None:
    count = chat_pb2.TokenCount(input_tokens=7, cached_tokens=2)
    ranking.worker.script = answering(infer_pb2.Chunk(token_count=count).SerializeToString())
    request = inference_service_pb2.CountTokensRequest(model="ranks/m", input=ASKED)
    counted = await ranking.stub.CountTokens(request, metadata=ranking.metadata, timeout=5)
    assert (counted.count, counted.source) == (count, event_pb2.USAGE_SOURCE_PROVIDER)
    (asked,) = ranking.worker.requests
    assert asked.count_tokens.chat == ASKED


async def test_a_prompt_is_estimated_where_the_provider_cannot_count(ranking: Ranking) -> None:
    parts = [chat_pb2.Part(text="x" * 10), chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c", arguments="y" * 5))]
    asked = chat_pb2.ChatInput(messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=parts)])
    request = inference_service_pb2.CountTokensRequest(model="echo", input=asked)
    counted = await ranking.stub.CountTokens(request, metadata=ranking.metadata, timeout=5)
    # fifteen characters at four a token
    assert (counted.count.input_tokens, counted.source) == (4, event_pb2.USAGE_SOURCE_ESTIMATED)
    assert ranking.worker.requests == []
    for model, messages, error in (("nothing", 1, ModelNotFound), ("echo", 0, InvalidRequest)):
        wrong = inference_service_pb2.CountTokensRequest(model=model, input=ASKED if messages else chat_pb2.ChatInput())
        with pytest.raises(error), rpc_errors():
            await ranking.stub.CountTokens(wrong, metadata=ranking.metadata, timeout=5)


@pytest.mark.requirement("P-18")
async def test_what_a_model_cannot_do_is_refused_before_it_is_asked(ranking: Ranking) -> None:
    form = chat_pb2.ResponseFormat(kind=chat_pb2.ResponseFormat.KIND_JSON_SCHEMA, schema=b"{}")
    asked = chat_pb2.ChatInput(messages=ASKED.messages, response_format=form)
    with pytest.raises(UnsupportedParameter) as caught, rpc_errors():
        await ranking.stub.Chat(
            inference_service_pb2.ChatRequest(model="ranks/m", input=asked), metadata=ranking.metadata, timeout=5
        )
    assert (caught.value.param, ranking.worker.requests) == ("response_format", [])


async def test_the_service_describes_itself(opened: grpc.aio.Channel) -> None:
    # the stubs of grpc_reflection are untyped and made for the synchronous API
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", opened))
    request: Any = cast("Any", reflection_pb2).ServerReflectionRequest(list_services="")
    answers: list[Any] = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=5)]
    names = {service.name for service in answers[0].list_services_response.service}
    assert "llm_manager.contracts.inference.v1.InferenceService" in names


@pytest.mark.requirement("B11")
async def test_a_client_that_knows_nothing_streams_a_chat_by_reflection(
    opened: grpc.aio.Channel, metadata: Any, worker: AnsweringWorker
) -> None:
    worker.script = answering(chunk(text("Hel"), info=INFO), chunk(text("lo"), finish()))
    pool = await _described(opened, "llm_manager.contracts.inference.v1.InferenceService")
    (method,) = (
        method
        for method in pool.FindServiceByName("llm_manager.contracts.inference.v1.InferenceService").methods
        if method.name == "StreamChat"
    )
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)
    untyped = cast("Any", opened)  # types of messages that are made here
    call = untyped.unary_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    said = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    asked = json_format.ParseDict({"model": "echo", "input": {"messages": [said]}}, request())
    pieces = [json_format.MessageToDict(piece) async for piece in call(asked, metadata=metadata, timeout=5)]
    texts = [delta.get("text") for piece in pieces for delta in piece.get("deltas", [])]
    assert (texts, pieces[-1]["summary"]["provider"]) == (["Hel", "lo", None], "echo")


async def _described(opened: grpc.aio.Channel, symbol: str) -> descriptor_pool.DescriptorPool:
    """What reflection tells about a symbol, and nothing of what this process knows."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", opened))
    request: Any = cast("Any", reflection_pb2).ServerReflectionRequest(file_containing_symbol=symbol)
    answers: list[Any] = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=5)]
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answers[0].file_descriptor_response.file_descriptor_proto
    ]
    waiting = {file.name: file for file in files}
    pool = descriptor_pool.DescriptorPool()

    def add(name: str) -> None:
        if (file := waiting.pop(name, None)) is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

    for file in files:
        add(file.name)
    return pool
