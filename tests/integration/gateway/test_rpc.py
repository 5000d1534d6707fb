"""InferenceService over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2, inference_service_pb2, inference_service_pb2_grpc
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import (
    AuthenticationFailed,
    InvalidRequest,
    LlmManagerError,
    ModelNotFound,
    UpstreamRefused,
)
from llm_manager.kit.rpc import rpc_errors
from llm_manager.testing.answering_worker import AnsweringWorker, answering, chunk, done, failing, finish, hanging, text

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


async def test_the_service_describes_itself(opened: grpc.aio.Channel) -> None:
    # the stubs of grpc_reflection are untyped and made for the synchronous API
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", opened))
    request: Any = cast("Any", reflection_pb2).ServerReflectionRequest(list_services="")
    answers: list[Any] = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=5)]
    names = {service.name for service in answers[0].list_services_response.service}
    assert "llm_manager.contracts.inference.v1.InferenceService" in names
