"""The OpenAI-compatible routes. Their bodies are read by hand: at this place every microsecond is paid per request."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.deltas import Model
from llm_manager.core.facts import Dialect
from llm_manager.gateway.inference.rules import Call, NativeBody, Outcome
from llm_manager.gateway.ingress.asking import Asked, admitted, caller_of, json_response
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import schemas
from llm_manager.gateway.ingress.openai.chat_request import ChatHead
from llm_manager.gateway.ingress.openai.chunks import NativeChunks, NeutralChunks
from llm_manager.gateway.ingress.openai.completion import Completion, with_usage
from llm_manager.gateway.ingress.openai.embeddings import EmbeddingsHead, embeddings_body, embeddings_input, with_id
from llm_manager.gateway.ingress.openai.events import ChunkEvents
from llm_manager.gateway.ingress.openai.translation import chat_input
from llm_manager.gateway.ingress.openai.usage import chat_usage, embeddings_usage
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.parts import PARTS

DIALECT: Dialect = "openai_chat"
_ID_PREFIX = "chatcmpl-"

router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=LeanRoute)


@router.post("/chat/completions", openapi_extra=schemas.CHAT, responses=schemas.CHAT_RESPONSES)
async def create_chat_completion(request: Request) -> Response:
    """Continue a chat, in one piece or as server-sent events."""
    asked = await admitted(request)
    head = decode(asked.body, ChatHead)
    is_stream = bool(head.stream)
    call = asked.call(
        "chat",
        head.model,
        dialect=DIALECT,
        neutral=lambda: chat_input(asked.body),
        is_stream=is_stream,
        end_user=head.safety_identifier or head.user or "",
    )
    return _streamed_chat(asked, call, head) if is_stream else await _whole_chat(asked, call, head)


@router.post("/embeddings", openapi_extra=schemas.EMBEDDINGS, responses=schemas.EMBEDDINGS_RESPONSES)
async def create_embedding(request: Request) -> Response:
    """Turn texts into vectors."""
    asked = await admitted(request)
    head = decode(asked.body, EmbeddingsHead)
    call = asked.call(
        "embeddings",
        head.model,
        dialect=DIALECT,
        neutral=lambda: embeddings_input(asked.body),
        end_user=head.user or "",
    )
    answer = await asked.whole(call)
    is_native = isinstance(call.input, NativeBody)
    usage = embeddings_usage(answer.outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)
    answer_id = f"embd-{call.request_id}"
    if is_native:
        return asked.respond(with_usage(with_id(answer.native, answer_id), usage), answer)
    vectors = [tuple(vector) for piece in answer.pieces for vector in piece.embeddings]
    model = answer.outcome.response_model or call.target.upstream_model
    body = embeddings_body(vectors, answer_id=answer_id, model=model, usage=usage, encoding_format=head.encoding_format)
    return asked.respond(body, answer)


@router.get("/models", openapi_extra=schemas.LIST_MODELS, responses=schemas.MODELS_RESPONSES)
async def list_models(request: Request) -> Response:
    """List configurations and aliases, then what the providers offer as `<provider>/<model>`.

    What a provider offers is remembered for ten minutes; `?refresh=true` asks again.
    """
    caller = caller_of(request)
    is_refresh = request.query_params.get("refresh") == "true"
    models = await PARTS.of(request).models.list(caller, refresh=is_refresh)
    return json_response(msgspec.json.encode({"object": "list", "data": [_model(model) for model in models]}))


@router.get("/models/{model_id:path}", openapi_extra=schemas.SECURED, responses=schemas.MODEL_RESPONSES)
async def retrieve_model(request: Request) -> Response:
    """Describe one model; its id may contain slashes."""
    caller = caller_of(request)
    model = await PARTS.of(request).models.get(str(request.path_params["model_id"]), caller)
    return json_response(msgspec.json.encode(_model(model)))


async def _whole_chat(asked: Asked, call: Call, head: ChatHead) -> Response:
    answer = await asked.whole(call)
    is_native = isinstance(call.input, NativeBody)
    usage = chat_usage(answer.outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)
    if is_native:
        return asked.respond(with_usage(answer.native, usage), answer)
    completion = Completion(asked.fallback(call, prefix=_ID_PREFIX), calls_functions=head.calls_functions)
    for piece in answer.pieces:
        completion.add(piece)
    return asked.respond(completion.body(usage), answer)


def _streamed_chat(asked: Asked, call: Call, head: ChatHead) -> Response:
    is_native = isinstance(call.input, NativeBody)
    include_usage = bool(head.stream_options and head.stream_options.include_usage)
    fallback = asked.fallback(call, prefix=_ID_PREFIX)
    writer = (
        NativeChunks(fallback, include_usage=include_usage)
        if is_native
        else NeutralChunks(fallback, include_usage=include_usage, calls_functions=head.calls_functions)
    )

    def usage(outcome: Outcome) -> bytes:
        return chat_usage(outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)

    return asked.stream(call, ChunkEvents(writer, usage=usage if include_usage else None))


def _model(model: Model) -> dict[str, object]:
    known: dict[str, object] = {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
    native: dict[str, Raw] = msgspec.json.decode(model.native or b"{}", type=dict[str, Raw])
    # Windows, prices and abilities have no names of OpenAI's, so they stay as they are told. Who names models otherwise
    # than by `id` (Gemini, Cohere, Ollama) describes them in words that OpenAI's clients do not read.
    return {**native, **known} if "id" in native else known
