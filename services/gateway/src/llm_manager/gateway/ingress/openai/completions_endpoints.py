"""POST /v1/completions."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.facts import Dialect
from llm_manager.gateway.inference.rules import Call, NativeBody, Outcome
from llm_manager.gateway.ingress.asking import Asked, admitted
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import text_schemas as schemas
from llm_manager.gateway.ingress.openai.completion import with_usage
from llm_manager.gateway.ingress.openai.completions import NativeTextChunks, NeutralTextChunks, TextCompletion
from llm_manager.gateway.ingress.openai.completions_request import CompletionHead, chat_of_completion
from llm_manager.gateway.ingress.openai.events import ChunkEvents
from llm_manager.gateway.ingress.openai.usage import chat_usage
from llm_manager.gateway.ingress.routing import LeanRoute

DIALECT: Dialect = "openai_completions"
_ID_PREFIX = "cmpl-"

router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=LeanRoute)


@router.post("/completions", openapi_extra=schemas.COMPLETIONS, responses=schemas.COMPLETIONS_RESPONSES)
async def create_completion(request: Request) -> Response:
    """Complete a text, in one piece or as server-sent events; models that only chat get it as a user's message."""
    asked = await admitted(request)
    head = decode(asked.body, CompletionHead)
    is_stream = bool(head.stream)
    call = asked.call(
        "chat",
        head.model,
        dialect=DIALECT,
        neutral=lambda: chat_of_completion(asked.body),
        is_stream=is_stream,
        end_user=head.user or "",
    )
    if is_stream:
        return _streamed(asked, call, include_usage=bool(head.stream_options and head.stream_options.include_usage))
    answer = await asked.whole(call)
    usage = _usage(asked, call, answer.outcome)
    if isinstance(call.input, NativeBody):
        return asked.respond(with_usage(answer.native, usage), answer)
    completion = TextCompletion(asked.fallback(call, prefix=_ID_PREFIX))
    for piece in answer.pieces:
        completion.add(piece)
    return asked.respond(completion.body(usage), answer)


def _streamed(asked: Asked, call: Call, *, include_usage: bool) -> Response:
    chunks = NativeTextChunks if isinstance(call.input, NativeBody) else NeutralTextChunks
    writer = chunks(asked.fallback(call, prefix=_ID_PREFIX), include_usage=include_usage)

    def usage(outcome: Outcome) -> bytes:
        return _usage(asked, call, outcome)

    return asked.stream(call, ChunkEvents(writer, usage=usage if include_usage else None))


def _usage(asked: Asked, call: Call, outcome: Outcome) -> bytes:
    is_native = isinstance(call.input, NativeBody)
    return chat_usage(outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)
