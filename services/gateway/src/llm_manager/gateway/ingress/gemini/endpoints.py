"""Gemini's API. Its bodies are read by hand, as those of OpenAI's routes are.

The key may stand in the address (`?key=`): addresses are logged and traced without their query.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.estimates import tokens_of
from llm_manager.core.facts import Dialect
from llm_manager.core.messages import EmbeddingsInput
from llm_manager.core.usage import UsageSource
from llm_manager.gateway.errors import Headers
from llm_manager.gateway.inference.rules import Call, NativeBody
from llm_manager.gateway.ingress.asking import Asked, WholeAnswer, admitted, caller_of, json_response
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.gemini import schemas
from llm_manager.gateway.ingress.gemini.answer import Answer, AnswerEvents
from llm_manager.gateway.ingress.gemini.embeddings import BatchHead, EmbedHead, batch_input, embed_body, embed_input
from llm_manager.gateway.ingress.gemini.framing import ArrayFraming, EventFraming, Framing
from llm_manager.gateway.ingress.gemini.models import PREFIX, model_body, models_body
from llm_manager.gateway.ingress.gemini.request import Head
from llm_manager.gateway.ingress.gemini.routing import ALPHA_PREFIX, OWN_PREFIX, SHARED_PREFIX, GoogleRoute
from llm_manager.gateway.ingress.gemini.translation import chat_input, count_input
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.gateway.ingress.response_headers import answer_headers
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.parts import PARTS

DIALECT: Dialect = "gemini_generate"
_ID_PREFIX = "resp_"
# The dialect has no field for it, and its SDKs refuse fields that they do not know.
_ESTIMATED = (b"x-llm-manager-usage-source", b"estimated")
_MODEL = "/models/{model:path}"


async def generate_content(request: Request) -> Response:
    """Continue a conversation in one piece."""
    asked = await admitted(request)
    call = _chat(asked, request, is_stream=False)
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    rendered = Answer(asked.fallback(call, prefix=_ID_PREFIX))
    for piece in answer.pieces:
        rendered.add(piece)
    return _respond(asked, rendered.body(answer.outcome), answer)


async def stream_generate_content(request: Request) -> Response:
    """Continue a conversation piece by piece: server-sent events with `alt=sse`, else one JSON array."""
    asked = await admitted(request)
    call = _chat(asked, request, is_stream=True)
    framing: Framing = EventFraming() if _is_sse(request) else ArrayFraming()
    if isinstance(call.input, NativeBody):
        writer = NativeEvents(
            framing.frame, fail=framing.fail, ping=framing.ping, media_type=framing.media_type, end=framing.end
        )
        return asked.stream(call, writer)
    return asked.stream(call, AnswerEvents(asked.fallback(call, prefix=_ID_PREFIX), framing))


async def count_tokens(request: Request) -> Response:
    """Count the tokens of a prompt, or estimate them where the provider cannot count."""
    asked = await admitted(request)
    model = _model(request)
    target = asked.parts.catalogue.snapshot.resolve(model, asked.caller)
    if not asked.parts.inference.offers(target.kind, "count_tokens"):
        # a prompt that could not be sent has no size
        count_input(asked.body)
        return json_response(_count(tokens_of(asked.input_characters())), [_ESTIMATED])
    call = asked.call("count_tokens", model, dialect=DIALECT, neutral=lambda: count_input(asked.body))
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    counts = [piece.token_count for piece in answer.pieces if piece.token_count is not None]
    body = _count(sum(count.input_tokens for count in counts), cached=sum(count.cached_tokens for count in counts))
    return asked.respond(body, answer)


async def embed_content(request: Request) -> Response:
    """Turn one text into a vector."""
    asked = await admitted(request)
    if bytes(decode(asked.body, EmbedHead).requests) not in (b"", b"null"):
        raise InvalidRequest("requests belongs to batchEmbedContents; send one content.", param="requests")
    return await _embedded(asked, request, is_batch=False)


async def batch_embed_contents(request: Request) -> Response:
    """Turn texts into vectors, in their order."""
    asked = await admitted(request)
    decode(asked.body, BatchHead)
    return await _embedded(asked, request, is_batch=True)


async def list_models(request: Request) -> Response:
    """List configurations and aliases, then what the providers offer; `?refresh=true` asks the providers again."""
    caller, asked = caller_of(request), request.query_params
    models = await PARTS.of(request).models.list(caller, refresh=asked.get("refresh") == "true")
    return json_response(
        models_body(models, page_size=asked.get("pageSize"), page_token=asked.get("pageToken"))
    )  # fmt: skip


async def get_model(request: Request) -> Response:
    """Describe one model; its name may contain slashes."""
    caller = caller_of(request)
    return json_response(model_body(await PARTS.of(request).models.get(_model(request), caller)))


def _model(request: Request) -> str:
    return str(request.path_params["model"]).removeprefix(PREFIX)


def _is_sse(request: Request) -> bool:
    asked = request.query_params
    return (asked.get("alt") or asked.get("$alt") or "").lower() == "sse"


def _chat(asked: Asked, request: Request, *, is_stream: bool) -> Call:
    decode(asked.body, Head)
    return asked.call(
        "chat", _model(request), dialect=DIALECT, neutral=lambda: chat_input(asked.body), is_stream=is_stream
    )


async def _embedded(asked: Asked, request: Request, *, is_batch: bool) -> Response:
    def neutral() -> EmbeddingsInput:
        return batch_input(asked.body) if is_batch else embed_input(asked.body)

    call = asked.call("embeddings", _model(request), dialect=DIALECT, neutral=neutral)
    answer = await asked.whole(call)
    if isinstance(call.input, NativeBody):
        return asked.respond(answer.native, answer)
    vectors = [vector for piece in answer.pieces for vector in piece.embeddings]
    expected = len(call.input.texts) if isinstance(call.input, EmbeddingsInput) else len(vectors)
    body = embed_body(vectors, answer.outcome.report, is_batch=is_batch, expected=expected)
    return _respond(asked, body, answer)


def _respond(asked: Asked, body: bytes, answer: WholeAnswer) -> Response:
    headers: Headers = answer_headers(answer.run, asked.exchange)
    if answer.outcome.report.source is UsageSource.ESTIMATED:
        headers.append(_ESTIMATED)
    return json_response(body, headers)


def _count(tokens: int, *, cached: int = 0) -> bytes:
    counts = {"totalTokens": tokens}
    return msgspec.json.encode({**counts, "cachedContentTokenCount": cached} if cached else counts)


def _add_calls(router: APIRouter, model: str = _MODEL) -> None:
    for method, endpoint, extra, responses in (
        ("generateContent", generate_content, schemas.GENERATE, schemas.GENERATE_RESPONSES),
        ("streamGenerateContent", stream_generate_content, schemas.STREAM, schemas.STREAM_RESPONSES),
        ("countTokens", count_tokens, schemas.COUNT_TOKENS, schemas.COUNT_TOKENS_RESPONSES),
        ("embedContent", embed_content, schemas.EMBED, schemas.EMBED_RESPONSES),
        ("batchEmbedContents", batch_embed_contents, schemas.BATCH, schemas.BATCH_RESPONSES),
    ):
        path = f"{model}:{method}"
        router.add_api_route(path, endpoint, methods=["POST"], openapi_extra=extra, responses=responses)


def _add_models(router: APIRouter) -> None:
    for path, endpoint, extra, responses in (
        ("/models", list_models, schemas.LIST_MODELS, schemas.MODELS_RESPONSES),
        (_MODEL, get_model, schemas.GET_MODEL, schemas.MODEL_RESPONSES),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], openapi_extra=extra, responses=responses)


def _router(prefix: str, *, in_schema: bool = False) -> APIRouter:
    return APIRouter(prefix=prefix, tags=["Gemini"], route_class=LeanRoute, include_in_schema=in_schema)


router = _router(OWN_PREFIX, in_schema=True)
_alpha, _shared = _router(ALPHA_PREFIX), _router(SHARED_PREFIX)
_shared_models = APIRouter(prefix=SHARED_PREFIX, route_class=GoogleRoute, include_in_schema=False)
for _version in (router, _alpha, _shared):
    _add_calls(_version)
# The AI SDK of Vercel leaves `models/` out where a model's name has a slash (@ai-sdk/google 3.0.141, get-model-path).
_bare = _router(OWN_PREFIX)
_add_calls(_bare, "/{model:path}")
for _version in (router, _alpha, _shared_models):
    _add_models(_version)
# Before the other routers of `/v1`, which would take the lists of models.
ROUTERS: Sequence[APIRouter] = (router, _alpha, _shared, _shared_models, _bare)
