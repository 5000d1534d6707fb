"""The OpenAI-compatible routes. Their bodies are read by hand: at this place every microsecond is paid per request."""

from __future__ import annotations

import time

import msgspec
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_manager.core.deltas import AnswerInfo, Model
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.gateway.errors import Headers
from llm_manager.gateway.http.body import WhileConnected, read_json_body
from llm_manager.gateway.http.exchange import Exchange, exchange_of
from llm_manager.gateway.inference.rules import Call, Caller, Input, NativeBody, Operation, Outcome, client_deadline
from llm_manager.gateway.inference.service import Run
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import schemas
from llm_manager.gateway.ingress.openai.chat_request import ChatHead
from llm_manager.gateway.ingress.openai.chunks import NativeChunks, NeutralChunks
from llm_manager.gateway.ingress.openai.completion import Completion, with_usage
from llm_manager.gateway.ingress.openai.embeddings import EmbeddingsHead, embeddings_body, embeddings_input
from llm_manager.gateway.ingress.openai.response_headers import answer_headers, stream_headers
from llm_manager.gateway.ingress.openai.streaming import ChatStream, EventStreamResponse
from llm_manager.gateway.ingress.openai.translation import chat_input, prompt_characters
from llm_manager.gateway.ingress.openai.usage import chat_usage, embeddings_usage
from llm_manager.gateway.parts import PARTS, Parts

DIALECT = "openai_chat"
_COST_HEADER, _OFF = "x-llm-manager-cost", "off"


class LeanRoute(APIRoute):
    """A route whose endpoint takes the request as it is: no dependencies, no validation by pydantic.

    FastAPI's own wrapping (exit stacks, dependency solving) costs 60 us a request, measured 2026-11.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the endpoint itself; a wrong method takes FastAPI's way to its refusal."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response: Response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=LeanRoute)


@router.post("/chat/completions", openapi_extra=schemas.CHAT, responses=schemas.CHAT_RESPONSES)
async def create_chat_completion(request: Request) -> Response:
    """Continue a chat, in one piece or as server-sent events."""
    parts = PARTS.of(request)
    caller = parts.caller(request.headers.get("authorization"))
    body = await read_json_body(request, max_bytes=parts.limits.max_body_bytes)
    head = decode(body, ChatHead)
    asked = _Asked(request, parts, caller, body)
    is_stream = bool(head.stream)
    call = asked.call("chat", head.model, is_stream=is_stream, end_user=head.safety_identifier or head.user or "")
    if not is_stream:
        return await _whole_chat(asked, call)
    return _streamed_chat(asked, call, include_usage=bool(head.stream_options and head.stream_options.include_usage))


@router.post("/embeddings", openapi_extra=schemas.EMBEDDINGS, responses=schemas.EMBEDDINGS_RESPONSES)
async def create_embedding(request: Request) -> Response:
    """Turn texts into vectors."""
    parts = PARTS.of(request)
    caller = parts.caller(request.headers.get("authorization"))
    body = await read_json_body(request, max_bytes=parts.limits.max_body_bytes)
    head = decode(body, EmbeddingsHead)
    asked = _Asked(request, parts, caller, body)
    call = asked.call("embeddings", head.model, is_stream=False, end_user=head.user or "")
    vectors: list[tuple[float, ...]] = []
    native: list[bytes] = []
    async with WhileConnected(request.receive), asked.run(call) as run:
        async for piece in run.pieces():
            vectors.extend(tuple(vector) for vector in piece.embeddings)
            native.extend(piece.native)
    asked.exchange.take_back()
    outcome = run.outcome
    usage = embeddings_usage(outcome, with_cost=asked.with_cost)
    if isinstance(call.input, NativeBody):
        answer = with_usage(_only(native), usage)
    else:
        model = outcome.response_model or call.target.upstream_model
        answer = embeddings_body(vectors, model=model, usage=usage, encoding_format=head.encoding_format)
    return asked.respond(answer, run)


@router.get("/models", openapi_extra=schemas.LIST_MODELS, responses=schemas.MODELS_RESPONSES)
async def list_models(request: Request) -> Response:
    """List configurations and aliases, then what the providers offer as `<provider>/<model>`.

    What a provider offers is remembered for ten minutes; `?refresh=true` asks again.
    """
    parts = PARTS.of(request)
    caller = parts.caller(request.headers.get("authorization"))
    models = await parts.models.list(caller, refresh=request.query_params.get("refresh") == "true")
    return _json(msgspec.json.encode({"object": "list", "data": [_model(model) for model in models]}), [])


@router.get("/models/{model_id:path}", openapi_extra=schemas.SECURED, responses=schemas.MODEL_RESPONSES)
async def retrieve_model(request: Request) -> Response:
    """Describe one model; its id may contain slashes."""
    parts = PARTS.of(request)
    caller = parts.caller(request.headers.get("authorization"))
    model = await parts.models.get(str(request.path_params["model_id"]), caller)
    return _json(msgspec.json.encode(_model(model)), [])


class _Asked:
    """One request of an admitted caller."""

    def __init__(self, request: Request, parts: Parts, caller: Caller, body: bytes) -> None:
        self.parts = parts
        self.body = body
        self.exchange: Exchange = exchange_of(request.scope)
        self.receive = request.receive
        self.with_cost = request.headers.get(_COST_HEADER, "").strip().lower() != _OFF
        self._caller = caller
        self._read_timeout = request.headers.get("x-stainless-read-timeout")

    def call(self, operation: Operation, model: str, *, is_stream: bool, end_user: str) -> Call:
        """Resolve the model and make the call."""
        target = self.parts.catalogue.snapshot.resolve(model)
        call = Call(
            request_id=self.exchange.request_id,
            caller=self._caller,
            target=target,
            operation=operation,
            input=self._input(operation, target.kind),
            requested_model=model,
            deadline_seconds=client_deadline(
                limit_seconds=self.parts.limits.request_timeout_seconds,
                read_timeout_header=self._read_timeout,
                is_stream=is_stream,
            ),
            is_stream=is_stream,
            end_user=end_user[:256],
        )
        self.parts.inference.check_operation(call)
        self.exchange.call = call
        return call

    def _input(self, operation: Operation, kind: str) -> Input:
        if self.parts.inference.speaks(kind, DIALECT):
            return NativeBody(DIALECT, self.body)
        return chat_input(self.body) if operation == "chat" else embeddings_input(self.body)

    def fallback(self, call: Call) -> AnswerInfo:
        """Describe an answer whose provider does not."""
        return AnswerInfo(id=f"chatcmpl-{call.request_id}", model=call.target.upstream_model, created=int(time.time()))

    def input_characters(self) -> int:
        """Count the prompt, for the estimate of a lost attempt."""
        return prompt_characters(self.body)

    def run(self, call: Call):  # the type is that of Inference.run
        """Hand the call over to a worker."""
        self.exchange.hand_over()
        return self.parts.inference.run(call, input_characters=self.input_characters)

    def respond(self, body: bytes, run: Run) -> Response:
        """Answer with a whole body."""
        return _json(body, answer_headers(run, self.exchange))


async def _whole_chat(asked: _Asked, call: Call) -> Response:
    completion = Completion(asked.fallback(call))
    native: list[bytes] = []
    async with WhileConnected(asked.receive), asked.run(call) as run:
        async for piece in run.pieces():
            completion.add(piece)
            native.extend(piece.native)
    asked.exchange.take_back()
    is_native = isinstance(call.input, NativeBody)
    usage = chat_usage(run.outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)
    return asked.respond(with_usage(_only(native), usage) if is_native else completion.body(usage), run)


def _streamed_chat(asked: _Asked, call: Call, *, include_usage: bool) -> Response:
    is_native = isinstance(call.input, NativeBody)
    fallback = asked.fallback(call)
    chunks = NativeChunks if is_native else NeutralChunks

    def usage(outcome: Outcome) -> bytes:
        return chat_usage(outcome, keeps_native_keys=is_native, with_cost=asked.with_cost)

    def headers() -> Headers:
        return stream_headers(call, asked.exchange)

    asked.exchange.hand_over()
    return EventStreamResponse(
        ChatStream(
            inference=asked.parts.inference,
            call=call,
            writer=chunks(fallback, include_usage=include_usage),
            input_characters=asked.input_characters,
            usage=usage if include_usage else None,
            headers=headers,
            heartbeat_seconds=asked.parts.limits.heartbeat_seconds,
        )
    )


def _only(native: list[bytes]) -> bytes:
    if len(native) != 1:
        raise UpstreamProtocolError(f"The provider's answer has {len(native)} bodies instead of one; retry.")
    return native[0]


def _json(body: bytes, headers: Headers) -> Response:
    response = Response(body, media_type="application/json")
    response.raw_headers.extend(headers)
    return response


def _model(model: Model) -> dict[str, object]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
