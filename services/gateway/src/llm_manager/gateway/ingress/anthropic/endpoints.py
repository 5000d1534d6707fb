"""Anthropic's Messages API. Its bodies are read by hand, as those of OpenAI's routes are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.estimates import tokens_of
from llm_manager.core.facts import Dialect
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.inference.rules import Call, NativeBody
from llm_manager.gateway.ingress.anthropic import schemas
from llm_manager.gateway.ingress.anthropic.answer import Answer
from llm_manager.gateway.ingress.anthropic.events import PING, MessageEvents, failure_event, native_event
from llm_manager.gateway.ingress.anthropic.request import CountHead, MessagesHead
from llm_manager.gateway.ingress.anthropic.translation import chat_input, count_input
from llm_manager.gateway.ingress.asking import Asked, admitted, json_response
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.gateway.ingress.routing import LeanRoute

DIALECT: Dialect = "anthropic_messages"
_ID_PREFIX = "msg_"
_ESTIMATED = (b"x-llm-manager-usage-source", b"estimated")

router = APIRouter(prefix="/v1", tags=["Anthropic"], route_class=LeanRoute)


@router.post("/messages", openapi_extra=schemas.MESSAGES, responses=schemas.MESSAGES_RESPONSES)
async def create_message(request: Request) -> Response:
    """Continue a conversation, in one piece or as named server-sent events."""
    asked = await admitted(request)
    head = decode(asked.body, MessagesHead)
    is_stream = bool(head.stream)
    call = asked.call(
        "chat",
        head.model,
        dialect=DIALECT,
        neutral=lambda: chat_input(asked.body),
        is_stream=is_stream,
        end_user=(head.metadata.user_id or "") if head.metadata is not None else "",
    )
    return _streamed(asked, call) if is_stream else await _whole(asked, call)


@router.post("/messages/count_tokens", openapi_extra=schemas.COUNT_TOKENS, responses=schemas.COUNT_TOKENS_RESPONSES)
async def count_message_tokens(request: Request) -> Response:
    """Count the tokens of a prompt, or estimate them where the provider cannot count."""
    asked = await admitted(request)
    head = decode(asked.body, CountHead)
    target = asked.parts.catalogue.snapshot.resolve(head.model, asked.caller)
    if not asked.parts.inference.offers(target.kind, "count_tokens"):
        # a prompt that could not be sent has no size
        count_input(asked.body)
        return json_response(_count(tokens_of(asked.input_characters())), [_ESTIMATED])
    call = asked.call(
        "count_tokens",
        head.model,
        dialect=DIALECT,
        neutral=lambda: count_input(asked.body),
    )
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    counted = sum(piece.token_count.input_tokens for piece in answer.pieces if piece.token_count is not None)
    return asked.respond(_count(counted), answer)


async def _whole(asked: Asked, call: Call) -> Response:
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    message = Answer(asked.fallback(call, prefix=_ID_PREFIX), stops=_stops(call))
    for piece in answer.pieces:
        message.add(piece)
    return asked.respond(message.body(answer.outcome), answer)


def _streamed(asked: Asked, call: Call) -> Response:
    if isinstance(call.input, NativeBody):
        return asked.stream(call, NativeEvents(native_event, fail=failure_event, ping=PING))
    return asked.stream(call, MessageEvents(asked.fallback(call, prefix=_ID_PREFIX), stops=_stops(call)))


def _stops(call: Call) -> Sequence[str]:
    return call.input.sampling.stop if isinstance(call.input, ChatInput) else ()


def _count(tokens: int) -> bytes:
    return msgspec.json.encode({"input_tokens": tokens})
