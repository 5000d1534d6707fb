"""POST /api/v1/generate."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_manager.core.facts import Dialect
from llm_manager.gateway.ingress.asking import Asked, admitted
from llm_manager.gateway.ingress.platform import schemas
from llm_manager.gateway.ingress.platform.answer import Generated, GeneratedEvents
from llm_manager.gateway.ingress.platform.generate_request import (
    GenerateRequest,
    chat_of_request,
    in_words_of_the_form,
    read_request,
)
from llm_manager.gateway.ingress.routing import LeanRoute

# No provider speaks this form, so that every one of them is asked in neutral words.
_NO_DIALECT = cast("Dialect", "")

router = APIRouter(prefix="/api/v1", tags=["Generate"], route_class=LeanRoute)


@router.post("/generate", openapi_extra=schemas.GENERATE, responses=schemas.GENERATE_RESPONSES)
async def generate(request: Request) -> Response:
    """Answer a prompt or messages: text, usage, cost and time in one object, or as events with `stream: true`."""
    asked = await admitted(request)
    read = read_request(asked.body)
    with in_words_of_the_form():
        return await _answered(asked, read)


async def _answered(asked: Asked, request: GenerateRequest) -> Response:
    is_stream = bool(request.stream)
    call = asked.call(
        "chat",
        request.configuration,
        dialect=_NO_DIALECT,
        # read anew: configuration and overrides may have added parameters
        neutral=lambda: chat_of_request(read_request(asked.body)),
        is_stream=is_stream,
        end_user=request.user or "",
    )
    generated = Generated(
        call, asked.fallback(call, prefix=""), milliseconds=lambda: int(asked.exchange.seconds() * 1000)
    )
    if is_stream:
        return _InWordsOfTheForm(asked.stream(call, GeneratedEvents(generated)))
    answer = await asked.whole(call)
    for piece in answer.pieces:
        generated.add(piece)
    return asked.respond(generated.body(answer.outcome), answer)


class _InWordsOfTheForm(Response):
    """A stream whose refusal, which comes before its first byte, is in the words of the form too."""

    def __init__(self, stream: Response) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        with in_words_of_the_form():
            await self._stream(scope, receive, send)
