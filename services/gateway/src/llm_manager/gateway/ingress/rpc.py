"""InferenceService over gRPC: the same admission, errors and ledger as over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import unquote

import grpc.aio

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2, inference_service_pb2, inference_service_pb2_grpc
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import AuthenticationFailed, InvalidRequest
from llm_manager.core.estimates import size_of, tokens_of
from llm_manager.core.ids import uuid7
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.http.edge import Drain
from llm_manager.gateway.inference.rules import Call, Caller, EncodedInput, Operation
from llm_manager.gateway.inference.run import Run
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.ingress.decoding import MAX_MODEL_CHARACTERS
from llm_manager.kit.wire.questions import chat_from_proto

SERVICE_NAME = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name
_CONTEXT = "x-llm-manager-context"
# OpenAI's names that the contract calls otherwise.
_SAME = {"max_completion_tokens": "max_tokens"}
Asked = chat_pb2.ChatInput | chat_pb2.EmbeddingsInput | chat_pb2.RerankInput | chat_pb2.CountTokensInput
Context = grpc.aio.ServicerContext[Any, Any]  # requests and responses are untyped in grpc


class InferenceRpc(inference_service_pb2_grpc.InferenceServiceServicer):
    """The servicer. Errors of the tree become statuses in kit.rpc."""

    def __init__(
        self,
        inference: Inference,
        catalogue: Catalogue,
        models: ModelDirectory,
        *,
        check_key: Callable[[str | None, str], Caller],
        drain: Drain,
        timeout_seconds: float,
    ) -> None:
        self._inference = inference
        self._catalogue = catalogue
        self._models = models
        self._check_key = check_key
        self._drain = drain
        self._timeout_seconds = timeout_seconds

    def register(self, server: grpc.aio.Server) -> None:
        """Add the servicer to a server."""
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(self, server)

    async def Chat(  # noqa: N802 # the name of the contract
        self, request: inference_service_pb2.ChatRequest, context: Context
    ) -> inference_service_pb2.ChatResponse:
        """Answer in one piece."""
        response = inference_service_pb2.ChatResponse()
        with self._drain.counted():
            call = self._chat_call(request, context, is_stream=False)
            async with self._inference.run(call, input_characters=request.input.ByteSize) as run:
                async for chunk in _chunks(run):
                    if chunk.HasField("info"):
                        response.info.CopyFrom(chunk.info)
                    response.deltas.extend(chunk.deltas)
            response.summary.CopyFrom(_summary(run))
        return response

    async def StreamChat(  # noqa: N802 # the name of the contract
        self, request: inference_service_pb2.StreamChatRequest, context: Context
    ) -> AsyncIterator[inference_service_pb2.StreamChatResponse]:
        """Answer piece by piece; the last message carries the summary."""
        with self._drain.counted():
            call = self._chat_call(request, context, is_stream=True)
            async with self._inference.run(call, input_characters=request.input.ByteSize) as run:
                async for chunk in _chunks(run):
                    response = inference_service_pb2.StreamChatResponse(deltas=chunk.deltas)
                    if chunk.HasField("info"):
                        response.info.CopyFrom(chunk.info)
                    yield response
            yield inference_service_pb2.StreamChatResponse(summary=_summary(run))

    async def Embed(  # noqa: N802 # the name of the contract
        self, request: inference_service_pb2.EmbedRequest, context: Context
    ) -> inference_service_pb2.EmbedResponse:
        """Turn texts into vectors, in order."""
        response = inference_service_pb2.EmbedResponse()
        with self._drain.counted():
            caller = self._caller(context)
            if not request.input.texts:
                raise InvalidRequest("input.texts is empty; give at least one text.", param="input.texts")
            call = self._call(caller, request.model, request.input, context, operation="embeddings")
            async with self._inference.run(call, input_characters=request.input.ByteSize) as run:
                async for chunk in _chunks(run):
                    response.embeddings.extend(chunk.embeddings)
            response.summary.CopyFrom(_summary(run))
        return response

    async def Rerank(  # noqa: N802 # the name of the contract
        self, request: inference_service_pb2.RerankRequest, context: Context
    ) -> inference_service_pb2.RerankResponse:
        """Order documents, best first."""
        response = inference_service_pb2.RerankResponse()
        with self._drain.counted():
            caller = self._caller(context)
            if not request.input.documents:
                raise InvalidRequest("input.documents is empty; give at least one document.", param="input.documents")
            call = self._call(caller, request.model, request.input, context, operation="rerank")
            async with self._inference.run(call, input_characters=request.input.ByteSize) as run:
                async for chunk in _chunks(run):
                    response.results.extend(chunk.rerank)
            response.summary.CopyFrom(_summary(run))
        return response

    async def CountTokens(  # noqa: N802 # the name of the contract
        self, request: inference_service_pb2.CountTokensRequest, context: Context
    ) -> inference_service_pb2.CountTokensResponse:
        """Count a prompt; estimate it where the provider cannot."""
        response = inference_service_pb2.CountTokensResponse(source=event_pb2.USAGE_SOURCE_PROVIDER)
        with self._drain.counted():
            caller = self._caller(context)
            if not request.input.messages:
                raise InvalidRequest("input.messages is empty; give at least one message.", param="input.messages")
            asked = chat_pb2.CountTokensInput(chat=request.input)
            call = self._call(caller, request.model, asked, context, operation="count_tokens")
            if not self._inference.offers(call.target.kind, "count_tokens"):
                response.count.input_tokens = tokens_of(_characters(request.input))
                response.source = event_pb2.USAGE_SOURCE_ESTIMATED
                return response
            async with self._inference.run(call, input_characters=request.input.ByteSize) as run:
                async for chunk in _chunks(run):
                    response.count.MergeFrom(chunk.token_count)
        return response

    async def ListModels(  # noqa: N802 # the name of the contract
        self,
        request: inference_service_pb2.ListModelsRequest,  # noqa: ARG002 # the signature of the contract
        context: Context,
    ) -> inference_service_pb2.ListModelsResponse:
        """List what the app may use."""
        with self._drain.counted():
            models = await self._models.list(self._caller(context))
        return inference_service_pb2.ListModelsResponse(
            models=[
                chat_pb2.Model(id=model.id, created=model.created, owned_by=model.owned_by, native=model.native)
                for model in models
            ]
        )

    def _caller(self, context: Context) -> Caller:
        self._drain.check()
        shown = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
        if len(shown) > 1:
            # a proxy may have checked another one than we would
            raise AuthenticationFailed("There are several entries of authorization in the metadata; send one.")
        authorization = shown[0] if shown else None
        if isinstance(authorization, bytes):
            raise AuthenticationFailed("The authorization metadata is not text.")
        return self._check_key(authorization, peer_address(context.peer()))

    def _chat_call(
        self,
        request: inference_service_pb2.ChatRequest | inference_service_pb2.StreamChatRequest,
        context: Context,
        *,
        is_stream: bool,
    ) -> Call:
        caller = self._caller(context)
        if not request.input.messages:
            raise InvalidRequest("input.messages is empty; give at least one message.", param="input.messages")
        call = self._call(caller, request.model, request.input, context, operation="chat", is_stream=is_stream)
        self._inference.check_profile(
            call,
            lambda: chat_from_proto(request.input),
            size=request.input.ByteSize(),
            characters=lambda: _characters(request.input),
        )
        return call

    def _call(
        self,
        caller: Caller,
        model: str,
        asked: Asked,
        context: Context,
        *,
        operation: Operation,
        is_stream: bool = False,
    ) -> Call:
        if len(model) > MAX_MODEL_CHARACTERS:
            hint = f"model has {len(model)} characters; the longest name has {MAX_MODEL_CHARACTERS}."
            raise InvalidRequest(hint, param="model")
        remaining = context.time_remaining()
        about = next((value for name, value in context.invocation_metadata() or () if name == _CONTEXT), "")
        target = self._catalogue.snapshot.resolve(model, caller, about if isinstance(about, str) else "")
        if isinstance(asked, chat_pb2.ChatInput) and target.parameters:
            set_sampling(asked.sampling, target.parameters)
        return Call(
            request_id=uuid7(),
            caller=caller,
            target=target,
            operation=operation,
            input=EncodedInput(asked.SerializeToString()),
            requested_model=model,
            deadline_seconds=min(self._timeout_seconds, remaining or self._timeout_seconds),
            is_stream=is_stream,
        )


# Any: values of JSON, which were checked when they were set
def set_sampling(sampling: chat_pb2.Sampling, parameters: Mapping[str, Any]) -> None:
    """Give a chat the parameters that it does not say; those that the contract has no word for are left out."""
    said = {field.name for field, _ in sampling.ListFields()}
    known = sampling.DESCRIPTOR.fields_by_name
    for name, value in parameters.items():
        field = _SAME.get(name, name)
        if field in said or field not in known:
            continue
        if field == "stop":
            sampling.stop.extend([value] if isinstance(value, str) else value)
        else:
            setattr(sampling, field, value)


def peer_address(peer: str) -> str:
    """Return the IP address in gRPC's name of a connection (`ipv4:10.0.0.1:5000`, `ipv6:%5B::1%5D:5000`), else ""."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest).rpartition(":")[0].strip("[]")


def _characters(chat: chat_pb2.ChatInput) -> int:
    parts = [part for message in chat.messages for part in message.parts]
    texts = [text for part in parts for text in (part.text, part.tool_call.arguments, part.tool_result.content)]
    texts += [piece.text for part in parts for piece in part.tool_result.parts]
    texts += [text for tool in chat.tools for text in (tool.name, tool.description)]
    return sum(map(size_of, texts)) + sum(len(tool.parameters) for tool in chat.tools)


async def _chunks(run: Run) -> AsyncIterator[infer_pb2.Chunk]:
    async for message in run.messages():
        chunk = infer_pb2.Chunk.FromString(message)
        run.output_characters += chunk.characters
        yield chunk


def _summary(run: Run) -> inference_service_pb2.Summary:
    event = infer_pb2.Done.FromString(run.done).event
    return inference_service_pb2.Summary(
        request_id=run.call.request_id,
        usage=event.usage,
        usage_source=event.usage_source,
        cost=event.cost,
        provider=run.call.target.provider,
        upstream_model=run.call.target.upstream_model,
    )
