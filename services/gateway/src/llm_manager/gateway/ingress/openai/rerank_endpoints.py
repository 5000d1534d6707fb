"""POST /v1/rerank."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.facts import Dialect
from llm_manager.gateway.inference.rules import NativeBody
from llm_manager.gateway.ingress.asking import Asked, admitted
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import text_schemas as schemas
from llm_manager.gateway.ingress.openai.completion import with_usage
from llm_manager.gateway.ingress.openai.rerank import (
    RerankHead,
    Reranking,
    RerankRequest,
    is_cohere_v2,
    rerank_input,
    rerank_usage,
    with_model,
)
from llm_manager.gateway.ingress.routing import LeanRoute

_OPENAI: Dialect = "openai_chat"
_COHERE: Dialect = "cohere_v2"

router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=LeanRoute)


@router.post("/rerank", openapi_extra=schemas.RERANK, responses=schemas.RERANK_RESPONSES)
async def create_rerank(request: Request) -> Response:
    """Order documents by how well they answer a query, best first."""
    asked = await admitted(request)
    head = decode(asked.body, RerankHead)
    dialect = _dialect(asked, head.model)
    call = asked.call(
        "rerank", head.model, dialect=dialect, neutral=lambda: rerank_input(asked.body), end_user=head.user or ""
    )
    answer = await asked.whole(call)
    is_native = isinstance(call.input, NativeBody)
    usage = rerank_usage(answer.outcome, keeps_native_keys=is_native and dialect == _OPENAI, with_cost=asked.with_cost)
    if not is_native:
        reranking = Reranking(decode(asked.body, RerankRequest), asked.fallback(call, prefix="rerank-"))
        for piece in answer.pieces:
            reranking.add(piece)
        return asked.respond(reranking.body(answer.outcome, usage=usage), answer)
    if dialect == _COHERE:
        return asked.respond(with_model(answer.native, call.target.upstream_model, usage=usage), answer)
    return asked.respond(with_usage(answer.native, usage), answer)


def _dialect(asked: Asked, model: str) -> Dialect:
    """The form of the provider's own that the body has already."""
    parts = asked.parts
    target = parts.catalogue.snapshot.resolve(model, asked.caller)
    return _COHERE if parts.inference.speaks(target, _COHERE) and is_cohere_v2(asked.body) else _OPENAI
