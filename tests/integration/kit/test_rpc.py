from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_manager.contracts.inference.v1 import inference_service_pb2 as pb
from llm_manager.contracts.inference.v1 import inference_service_pb2_grpc as pb_grpc
from llm_manager.core.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    InternalError,
    ModelNotFound,
    StoreUnavailable,
    UpstreamFailure,
    UpstreamUnavailable,
)
from llm_manager.kit import rpc, telemetry
from llm_manager.kit.secrets import Secret
from llm_manager.testing.otlp import otlp_collector

SERVICE = "llm_manager.contracts.inference.v1.InferenceService"
TOKEN = Secret("rpc-token-of-the-test")
ERRORS = {
    "lost": ModelNotFound("There is no model 'lost'.", param="model"),
    "spent": BudgetExceeded("The budget of May is spent.", retry_after_seconds=12.5),
    "down": UpstreamUnavailable(
        "It failed.", http_status=503, upstream=UpstreamFailure(503, "overloaded", "t", "req_1")
    ),
    "long": ModelNotFound("x" * 20_000),
    "bug": ValueError("a fault with details that stay inside"),
}
Stub: TypeAlias = "pb_grpc.InferenceServiceAsyncStub"  # known to the type checker only


class Servicer(pb_grpc.InferenceServiceServicer):
    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        self.waiting.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return pb.ListModelsResponse()

    async def Chat(self, request: pb.ChatRequest, context: Any) -> pb.ChatResponse:
        if request.model in ERRORS:
            raise ERRORS[request.model]
        return pb.ChatResponse(summary=pb.Summary(request_id=request.model))

    async def StreamChat(self, request: pb.StreamChatRequest, context: Any) -> AsyncIterator[pb.StreamChatResponse]:
        for number in range(3):
            yield pb.StreamChatResponse(summary=pb.Summary(request_id=str(number)))
        if request.model in ERRORS:
            raise ERRORS[request.model]

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        return pb.EmbedResponse()

    async def Rerank(self, request: pb.RerankRequest, context: Any) -> pb.RerankResponse:
        return pb.RerankResponse()

    async def CountTokens(self, request: pb.CountTokensRequest, context: Any) -> pb.CountTokensResponse:
        return pb.CountTokensResponse()


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@asynccontextmanager
async def serving(servicer: Servicer, *, token: Secret | None = TOKEN, **options: float) -> AsyncGenerator[int]:
    register = partial(pb_grpc.add_InferenceServiceServicer_to_server, servicer)
    async with rpc.server(
        host="127.0.0.1", port=0, token=token, services=[register], service_names=[SERVICE], **options
    ) as port:
        yield port


@pytest.fixture
async def stub(servicer: Servicer) -> AsyncGenerator[Stub]:
    async with serving(servicer) as port, rpc.channel(f"127.0.0.1:{port}", token=TOKEN) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


async def test_a_call_comes_back(stub: Stub) -> None:
    answer = await stub.Chat(pb.ChatRequest(model="m"), timeout=5)

    assert answer.summary.request_id == "m"


async def test_a_stream_comes_back_in_order(stub: Stub) -> None:
    stream = stub.StreamChat(pb.StreamChatRequest(model="m"), timeout=5)

    assert [piece.summary.request_id async for piece in stream] == ["0", "1", "2"]


@pytest.mark.parametrize("model", ["lost", "spent", "down"])
async def test_an_error_of_our_tree_arrives_as_it_was_raised(stub: Stub, model: str) -> None:
    expected = ERRORS[model]

    with pytest.raises(type(expected)) as caught, rpc.rpc_errors():
        await stub.Chat(pb.ChatRequest(model=model), timeout=5)

    assert vars(caught.value) == vars(expected)


async def test_an_error_in_a_stream_arrives_after_its_pieces(stub: Stub) -> None:
    received: list[str] = []

    async def read() -> None:
        async for piece in stub.StreamChat(pb.StreamChatRequest(model="spent"), timeout=5):
            received.append(piece.summary.request_id)

    with pytest.raises(BudgetExceeded, match="May is spent"), rpc.rpc_errors():
        await read()

    assert received == ["0", "1", "2"]


async def test_other_clients_get_a_status_and_a_text(stub: Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Chat(pb.ChatRequest(model="lost"), timeout=5)

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "There is no model 'lost'."


async def test_a_long_text_is_cut_to_what_metadata_can_hold(stub: Stub) -> None:
    with pytest.raises(ModelNotFound) as caught, rpc.rpc_errors():
        await stub.Chat(pb.ChatRequest(model="long"), timeout=5)

    assert 1_000 < len(caught.value.message) < 3_000


async def test_a_fault_of_a_handler_is_an_internal_error_without_its_text(
    stub: Stub,
) -> None:
    with pytest.raises(InternalError) as caught, rpc.rpc_errors():
        await stub.Chat(pb.ChatRequest(model="bug"), timeout=5)

    assert "details" not in str(caught.value)


@pytest.mark.parametrize("token", [None, Secret("wrong"), Secret("")])
async def test_a_missing_or_wrong_token_is_refused(servicer: Servicer, token: Secret | None) -> None:
    async with serving(servicer) as port, rpc.channel(f"127.0.0.1:{port}", token=token) as channel:
        stub: Any = pb_grpc.InferenceServiceStub(channel)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Chat(pb.ChatRequest(model="m"), timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(InternalError, match="RPC_TOKEN"), rpc.rpc_errors():
            await anext(aiter(stub.StreamChat(pb.StreamChatRequest(model="m"), timeout=5)))


async def test_health_and_reflection_answer_anybody(servicer: Servicer) -> None:
    async with serving(servicer) as port, rpc.channel(f"127.0.0.1:{port}", token=None) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

        reflection: Any = cast("Any", reflection_pb2_grpc).ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        listed = [reply async for reply in reflection.ServerReflectionInfo(iter([request]), timeout=5)]
        names = {service.name for service in listed[0].list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_a_call_without_a_deadline_is_refused_at_the_client(stub: Stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="Chat was called without a timeout"):
        await stub.Chat(pb.ChatRequest(model="m"))
    with pytest.raises(grpc.aio.AioRpcError, match="StreamChat was called without a timeout"):
        await anext(aiter(stub.StreamChat(pb.StreamChatRequest(model="m"))))


async def test_a_deadline_that_passes_is_typed_and_cancels_the_handler(stub: Stub, servicer: Servicer) -> None:
    with pytest.raises(DeadlineExceeded), rpc.rpc_errors():
        await stub.ListModels(pb.ListModelsRequest(), timeout=0.1)

    async with asyncio.timeout(5):
        await servicer.cancelled.wait()
    assert servicer.cancelled.is_set()


async def test_a_server_that_is_not_there_is_a_typed_error() -> None:
    async with rpc.channel("127.0.0.1:1", token=None) as channel:
        stub: Any = pb_grpc.InferenceServiceStub(channel)
        with pytest.raises(StoreUnavailable) as caught, rpc.rpc_errors():
            await stub.Chat(pb.ChatRequest(), timeout=5)

    assert caught.value.retryable


async def test_a_stop_lets_open_calls_finish(servicer: Servicer) -> None:
    async with rpc_and_open_call(servicer, drain_seconds=5) as call:
        asyncio.get_running_loop().call_later(0.05, servicer.release.set)

    assert await call == pb.ListModelsResponse()


async def test_a_stop_cancels_what_does_not_finish_in_time(servicer: Servicer) -> None:
    async with rpc_and_open_call(servicer, drain_seconds=0.05) as call:
        pass

    with pytest.raises(StoreUnavailable), rpc.rpc_errors():
        await call
    assert servicer.cancelled.is_set()


@asynccontextmanager
async def rpc_and_open_call(servicer: Servicer, *, drain_seconds: float) -> AsyncGenerator[asyncio.Task[Any]]:
    """Leave the server while a call is open; the channel outlives it so that the call can end."""
    async with serving(servicer, drain_seconds=drain_seconds) as port:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call: Any = pb_grpc.InferenceServiceStub(channel).ListModels(
            pb.ListModelsRequest(), timeout=10, metadata=[("authorization", f"Bearer {TOKEN.reveal()}")]
        )
        task = asyncio.ensure_future(_awaited(call))
        await servicer.waiting.wait()
        yield task
    await asyncio.wait({task}, timeout=5)
    await channel.close()


async def _awaited(call: Any) -> Any:
    return await call


async def test_a_taken_port_is_named(servicer: Servicer) -> None:
    async with serving(servicer) as port:
        with pytest.raises(InternalError, match=f"127.0.0.1:{port} cannot be opened"):
            async with rpc.server(host="127.0.0.1", port=port, token=None, services=[], service_names=[]):
                pytest.fail("the port is taken")


@pytest.mark.requirement("S208")
async def test_a_trace_goes_from_client_to_server(stub: Stub) -> None:
    with otlp_collector() as collector:
        telemetry.setup("sample", otlp_endpoint=collector.endpoint)
        with telemetry.span("caller"):
            await stub.Chat(pb.ChatRequest(model="m"), timeout=5)
        await telemetry.shutdown()
        spans = {span.name: span for span in collector.spans}

    server = spans[f"{SERVICE}/Chat"]
    assert (server.trace_id, server.parent_id) == (spans["caller"].trace_id, spans["caller"].span_id)
    assert server.attributes == {"rpc.system.name": "grpc", "rpc.method": f"{SERVICE}/Chat"}
