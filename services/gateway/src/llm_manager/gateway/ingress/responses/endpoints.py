"""The routes of the Responses API. Bodies are read by hand, as on the other hot routes."""

from __future__ import annotations

from typing import cast

import msgspec
from fastapi import APIRouter
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.errors import InvalidRequest, UpstreamProtocolError
from llm_manager.core.estimates import size_of, tokens_of
from llm_manager.core.facts import Dialect
from llm_manager.core.messages import CountTokensInput
from llm_manager.gateway.inference.rules import NativeBody
from llm_manager.gateway.ingress.asking import Asked, admitted, caller_of, json_response
from llm_manager.gateway.ingress.openai.schemas import SECURED
from llm_manager.gateway.ingress.responses import schemas
from llm_manager.gateway.ingress.responses.answer import Output
from llm_manager.gateway.ingress.responses.compaction import compaction_input, compaction_item
from llm_manager.gateway.ingress.responses.creation import Creation
from llm_manager.gateway.ingress.responses.items import listed, page_of
from llm_manager.gateway.ingress.responses.replay import replayed
from llm_manager.gateway.ingress.responses.service import RESPONSES
from llm_manager.gateway.ingress.responses.shape import counts, key_of, new_response_id, usage_of
from llm_manager.gateway.ingress.responses.translation import messages_of
from llm_manager.gateway.ingress.responses.turns import DIALECT
from llm_manager.gateway.ingress.routing import LeanRoute

# No provider speaks it, so that every one of them is asked for a summary in neutral words.
_NO_DIALECT = cast("Dialect", "")
_MOST_ITEMS, _USUAL_ITEMS = 100, 20
_ESTIMATED = (b"x-llm-manager-usage-source", b"estimated")

router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=LeanRoute)


@router.post("/responses", openapi_extra=schemas.CREATE, responses=schemas.CREATE_RESPONSES)
async def create_response(request: Request) -> Response:
    """Make a response, in one piece or as server-sent events."""
    creation = Creation(await admitted(request), RESPONSES.of(request))
    return await creation.respond(is_stream=bool(creation.head.stream))


@router.post("/responses/input_tokens", openapi_extra=schemas.COUNT, responses=schemas.COUNT_RESPONSES)
async def count_input_tokens(request: Request) -> Response:
    """Count the tokens of a request, or estimate them where the provider cannot count."""
    creation = Creation(await admitted(request), RESPONSES.of(request))
    asked, head = creation.asked, creation.head
    target = asked.parts.catalogue.snapshot.resolve(head.model, asked.caller)
    is_counted = asked.parts.inference.offers(target.kind, "count_tokens")
    await creation.with_history(is_expanded=not is_counted)
    if not is_counted:
        # a prompt that could not be sent has no size
        creation.chat()
        return json_response(_count(tokens_of(asked.input_characters())), [_ESTIMATED])
    call = asked.call(
        "count_tokens",
        head.model,
        dialect=DIALECT,
        neutral=lambda: CountTokensInput(chat=creation.chat()),
    )
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    count = next((piece.token_count for piece in answer.pieces if piece.token_count is not None), None)
    if count is None:
        raise UpstreamProtocolError("The provider's answer holds no count; retry.")
    return asked.respond(_count(count.input_tokens), answer)


@router.post("/responses/compact", openapi_extra=schemas.COMPACT, responses=schemas.COMPACT_RESPONSES)
async def compact_response(request: Request) -> Response:
    """Shorten a conversation to one item, which stands for it as the input of the next request."""
    creation = Creation(await admitted(request), RESPONSES.of(request))
    await creation.with_history(is_expanded=True)
    asked, head = creation.asked, creation.head
    conversation = messages_of(replace(creation.request, instructions=None))
    call = asked.call(
        "chat",
        head.model,
        dialect=_NO_DIALECT,
        neutral=lambda: compaction_input(conversation, instructions=creation.request.instructions),
    )
    answer = await asked.whole(call)
    response_id = new_response_id()
    output = Output(key_of(response_id))
    for piece in answer.pieces:
        output.add(piece.deltas)
    # an empty summary, or half of one, would lose the conversation
    if not output.text or output.incomplete_reason is not None:
        raise UpstreamProtocolError("The provider gave no whole summary of the conversation; retry.")
    body = {
        "id": response_id,
        "object": "response.compaction",
        "created_at": int(creation.created_at.timestamp()),
        "output": [compaction_item(f"cmp_{key_of(response_id)}", output.text)],
        "usage": usage_of(answer.outcome, with_cost=asked.with_cost) or _estimated(asked, output.text),
    }
    return asked.respond(msgspec.json.encode(body), answer)


@router.get("/responses/{response_id}", openapi_extra=schemas.RETRIEVE, responses=schemas.RETRIEVE_RESPONSES)
async def retrieve_response(request: Request) -> Response:
    """Return a stored response; with `stream=true` as the events that make it up, in one piece."""
    caller = caller_of(request)
    turn = await RESPONSES.of(request).get(caller.app_id, _id_of(request))
    if request.query_params.get("stream") != "true":
        return json_response(turn.response)
    after = _number(request, "starting_after", lowest=0, highest=2**31 - 1)
    return Response(replayed(turn.response, after=after), media_type="text/event-stream")


@router.delete("/responses/{response_id}", openapi_extra=SECURED, responses=schemas.DELETE_RESPONSES)
async def delete_response(request: Request) -> Response:
    """Delete a stored response; what goes on from it can no longer be gone on from."""
    caller, response_id = caller_of(request), _id_of(request)
    await RESPONSES.of(request).delete(caller.app_id, response_id)
    return json_response(msgspec.json.encode({"id": response_id, "object": "response", "deleted": True}))


@router.post("/responses/{response_id}/cancel", openapi_extra=SECURED, responses=schemas.CANCEL_RESPONSES)
async def cancel_response(request: Request) -> Response:
    """Refuse: what is stored is over; a response under way is cancelled by closing its connection."""
    await RESPONSES.of(request).cancel(caller_of(request).app_id, _id_of(request))


@router.get("/responses/{response_id}/input_items", openapi_extra=schemas.ITEMS, responses=schemas.ITEMS_RESPONSES)
async def list_input_items(request: Request) -> Response:
    """List everything that the model read for a response, earlier turns included; newest first unless asked."""
    caller = caller_of(request)
    limit = _number(request, "limit", lowest=1, highest=_MOST_ITEMS) or _USUAL_ITEMS
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order is neither asc nor desc.", param="order")
    turns = await RESPONSES.of(request).read_by_model(caller.app_id, _id_of(request))
    page = page_of(listed(turns), after=request.query_params.get("after"), limit=limit, order=order)
    return json_response(msgspec.json.encode(page))


def _count(tokens: int) -> bytes:
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})


def _estimated(asked: Asked, text: str) -> dict[str, object]:
    """Estimate a usage that nobody knows, where the dialect has no word for that."""
    said = counts(tokens_of(asked.input_characters()), tokens_of(size_of(text)), cached=0, cache_write=0, reasoning=0)
    return {**said, "is_estimated": True}


def _id_of(request: Request) -> str:
    return str(request.path_params["response_id"])


def _number(request: Request, name: str, *, lowest: int, highest: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or not lowest <= int(text[:12]) <= highest:
        raise InvalidRequest(f"{name} is not a whole number from {lowest} to {highest}.", param=name)
    return int(text)
