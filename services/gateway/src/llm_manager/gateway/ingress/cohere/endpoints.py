"""Cohere's API, version 2. Its bodies are read by hand, as those of OpenAI's routes are."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.messages import EmbeddingsInput, RerankInput
from llm_manager.gateway.inference.rules import Call, NativeBody
from llm_manager.gateway.ingress.asking import Asked, admitted
from llm_manager.gateway.ingress.cohere import schemas
from llm_manager.gateway.ingress.cohere.answer import Answer
from llm_manager.gateway.ingress.cohere.embeddings import EmbedHead, embed_body, embed_input
from llm_manager.gateway.ingress.cohere.errors import DONE, failure_event
from llm_manager.gateway.ingress.cohere.events import PING, ChatEvents, native_event
from llm_manager.gateway.ingress.cohere.request import ChatHead
from llm_manager.gateway.ingress.cohere.rerank import RerankHead, rerank_body, rerank_input
from llm_manager.gateway.ingress.cohere.translation import chat_input
from llm_manager.gateway.ingress.cohere.turns import DIALECT
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.gateway.ingress.routing import LeanRoute

# Cohere's own ids have no prefix.
_ID_PREFIX = ""

router = APIRouter(prefix="/v2", tags=["Cohere"], route_class=LeanRoute)


@router.post("/chat", openapi_extra=schemas.CHAT, responses=schemas.CHAT_RESPONSES)
async def create_chat(request: Request) -> Response:
    """Continue a conversation, in one piece or as named server-sent events."""
    asked = await admitted(request)
    head = decode(asked.body, ChatHead)
    is_stream = bool(head.stream)
    call = asked.call("chat", head.model, dialect=DIALECT, neutral=lambda: chat_input(asked.body), is_stream=is_stream)
    return _streamed(asked, call) if is_stream else await _whole(asked, call)


@router.post("/embed", openapi_extra=schemas.EMBED, responses=schemas.EMBED_RESPONSES)
async def create_embeddings(request: Request) -> Response:
    """Turn texts into vectors, in their order."""
    asked = await admitted(request)
    model = decode(asked.body, EmbedHead).model
    call = asked.call("embeddings", model, dialect=DIALECT, neutral=lambda: embed_input(asked.body))
    answer = await asked.whole(call)
    if not isinstance(call.input, EmbeddingsInput):
        return asked.respond(answer.native, answer)
    vectors = [vector for piece in answer.pieces for vector in piece.embeddings]
    body = embed_body(
        vectors, answer.outcome.report, answer_id=call.request_id, body=asked.body, texts=call.input.texts
    )
    return asked.respond(body, answer)


@router.post("/rerank", openapi_extra=schemas.RERANK, responses=schemas.RERANK_RESPONSES)
async def create_order(request: Request) -> Response:
    """Order documents by how well they answer a query, best first."""
    asked = await admitted(request)
    model = decode(asked.body, RerankHead).model
    call = asked.call("rerank", model, dialect=DIALECT, neutral=lambda: rerank_input(asked.body))
    answer = await asked.whole(call)
    if not isinstance(call.input, RerankInput):
        return asked.respond(answer.native, answer)
    places = [place for piece in answer.pieces for place in piece.rerank]
    return asked.respond(
        rerank_body(places, answer.outcome.report, answer_id=call.request_id, asked=call.input), answer
    )


async def _whole(asked: Asked, call: Call) -> Response:
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    rendered = Answer(asked.fallback(call, prefix=_ID_PREFIX))
    for piece in answer.pieces:
        rendered.add(piece)
    return asked.respond(rendered.body(answer.outcome), answer)


def _streamed(asked: Asked, call: Call) -> Response:
    if isinstance(call.input, NativeBody):
        return asked.stream(call, NativeEvents(native_event, fail=failure_event, ping=PING, end=DONE))
    return asked.stream(call, ChatEvents(asked.fallback(call, prefix=_ID_PREFIX)))
