"""The way of every model call over HTTP: the key, the body, the model's name, the attempt, the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.facts import Dialect
from llm_manager.core.http_headers import passing
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.errors import Headers
from llm_manager.gateway.http.body import WhileConnected, read_json_body
from llm_manager.gateway.http.exchange import Exchange, exchange_of
from llm_manager.gateway.inference.rules import (
    Call,
    Caller,
    Input,
    NativeBody,
    NeutralInput,
    Operation,
    Outcome,
    Piece,
    Target,
    client_deadline,
)
from llm_manager.gateway.inference.run import Run
from llm_manager.gateway.ingress.opaque import is_carried_in
from llm_manager.gateway.ingress.prompt import prompt_characters
from llm_manager.gateway.ingress.response_headers import answer_headers, stream_headers
from llm_manager.gateway.ingress.streaming import AnswerStream, EventStreamResponse
from llm_manager.gateway.ingress.writer import AnswerWriter
from llm_manager.gateway.keys.shown import authorization_of
from llm_manager.gateway.parameters.rules import with_parameters
from llm_manager.gateway.parts import PARTS, Parts

T = TypeVar("T")
_COST_HEADER, _OFF = b"x-llm-manager-cost", "off"
# What a call is about, for overrides that are meant for it.
_CONTEXT = b"x-llm-manager-context"
_IDEMPOTENCY_KEY = "idempotency-key"


def caller_of(request: Request) -> Caller:
    """Check the API key, wherever the client's dialect keeps it.

    Raises:
        AuthenticationFailed: there is none, it is not good, or there are two.
        PermissionRefused: it may not come from the connection's address, or not call models.
    """
    scope = request.scope
    peer: tuple[str, int] | None = scope.get("client")
    authorization = authorization_of(scope["headers"], scope["query_string"])
    return PARTS.of(request).caller(authorization, peer[0] if peer else "")


async def admitted(request: Request) -> Asked:
    """Check the key, then read the body.

    Raises:
        LlmManagerError: the key is not good, or the body is too large, no JSON by its type, or breaks off.
    """
    caller, parts = caller_of(request), PARTS.of(request)
    exchange = exchange_of(request.scope)
    body = await read_json_body(exchange, request.receive, max_bytes=parts.limits.max_body_bytes)
    return Asked(request, parts, caller, body)


class WholeAnswer(msgspec.Struct, frozen=True):
    """An answer that has ended well. `native` is empty unless the provider speaks the client's dialect."""

    pieces: list[Piece]
    native: bytes
    run: Run

    @property
    def outcome(self) -> Outcome:
        """What it used and cost."""
        return self.run.outcome


class Asked:
    """One request of an admitted caller."""

    def __init__(self, request: Request, parts: Parts, caller: Caller, body: bytes) -> None:
        self.parts = parts
        self.body = body
        self.caller = caller
        self.exchange: Exchange = exchange_of(request.scope)
        self.receive: Receive = request.receive
        self.with_cost = (self.exchange.header(_COST_HEADER) or "").strip().lower() != _OFF
        self._headers = request.headers

    def call(
        self,
        operation: Operation,
        model: str,
        *,
        dialect: Dialect,
        neutral: Callable[[], NeutralInput],
        is_stream: bool = False,
        end_user: str = "",
    ) -> Call:
        """Resolve the model and make the call.

        Args:
            dialect: the client's own; a provider that speaks it gets the body as it is, unless blocks of another
                provider ride in it.
            neutral: translates the body for every other provider.

        Raises:
            ModelNotFound, InvalidRequest, UnsupportedParameter.
        """
        context = self.exchange.header(_CONTEXT) or ""
        target = self.parts.catalogue.snapshot.resolve(model, self.caller, context)
        if target.parameters and operation == "chat":
            self.body, self.exchange.parameters = with_parameters(self.body, dialect, target.parameters)
        inference, translated = self.parts.inference, _Once(neutral)
        asked: Input
        if inference.speaks(target, dialect) and not is_carried_in(self.body):
            asked = NativeBody(dialect, self.body, self._headers_for(target))
        else:
            asked = translated()
        call = Call(
            request_id=self.exchange.request_id,
            caller=self.caller,
            target=target,
            operation=operation,
            input=asked,
            requested_model=model,
            deadline_seconds=client_deadline(
                limit_seconds=self.parts.limits.request_timeout_seconds,
                read_timeout_header=self.exchange.header(b"x-stainless-read-timeout"),
                is_stream=is_stream,
            ),
            is_stream=is_stream,
            end_user=end_user[:256],
        )
        inference.check_operation(call)
        if operation == "chat":
            chat = cast("Callable[[], ChatInput]", translated)  # what a chat translates into
            inference.check_profile(call, chat, size=len(self.body), characters=self.input_characters)
        self.exchange.call = call
        return call

    def _headers_for(self, target: Target) -> dict[str, str]:
        """Return those of the client's headers that the provider gets."""
        wanted = self.parts.inference.accepted_headers(target)
        if not any(self.exchange.header(name.encode()) for name in wanted):
            return {}
        said = passing({name: ",".join(self._headers.getlist(name)) for name in wanted}, is_wanted=bool)
        if key := said.get(_IDEMPOTENCY_KEY):
            # All apps share the provider's account: no app may get another's answer by guessing its key.
            said[_IDEMPOTENCY_KEY] = sha256(f"{self.caller.app_id}\0{key}".encode()).hexdigest()
        return said

    def fallback(self, call: Call, *, prefix: str) -> AnswerInfo:
        """Describe an answer whose provider does not."""
        return AnswerInfo(id=f"{prefix}{call.request_id}", model=call.target.upstream_model, created=int(time.time()))

    def input_characters(self) -> int:
        """Count the prompt, for the estimate of a lost attempt."""
        return prompt_characters(self.body)

    def run(self, call: Call) -> Run:
        """Hand the call over to a worker."""
        self.exchange.hand_over()
        return self.parts.inference.run(call, input_characters=self.input_characters)

    async def whole(self, call: Call) -> WholeAnswer:
        """Make the call and wait for all of its answer; a client that goes away cancels it.

        Raises:
            LlmManagerError: the attempt failed, or the client went away.
        """
        pieces: list[Piece] = []
        async with WhileConnected(self.receive), self.run(call) as run:
            while arrived := await run.arrived():
                pieces += arrived
        self.exchange.take_back()
        native = [document for piece in pieces for document in piece.native]
        if isinstance(call.input, NativeBody) and len(native) != 1:
            raise UpstreamProtocolError(f"The provider's answer has {len(native)} bodies instead of one; retry.")
        return WholeAnswer(pieces, native[0] if native else b"", run)

    def respond(self, body: bytes, answer: WholeAnswer) -> Response:
        """Answer with a whole body."""
        return json_response(body, answer_headers(answer.run, self.exchange))

    def stream(self, call: Call, writer: AnswerWriter) -> Response:
        """Answer piece by piece."""
        self.exchange.hand_over()
        return EventStreamResponse(
            AnswerStream(
                inference=self.parts.inference,
                call=call,
                writer=writer,
                input_characters=self.input_characters,
                headers=lambda opening: stream_headers(call, self.exchange, writer.media_type, opening),
                heartbeat_seconds=self.parts.limits.heartbeat_seconds,
            )
        )


class _Once(Generic[T]):
    """Makes a value when it is first asked for. `functools.cache` takes 3 us to be made, a fiftieth of a request."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None

    def __call__(self) -> T:
        if self._made is None:
            self._made = self._make()
        return self._made


class _JsonResponse(Response):
    """Starlette's response without the making of its headers, which costs a tenth of sending it."""

    def __init__(self, body: bytes, headers: Headers) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        length = str(len(body)).encode()
        self.raw_headers = [(b"content-length", length), (b"content-type", b"application/json"), *headers]


def json_response(body: bytes, headers: Headers | None = None) -> Response:
    """Answer with JSON."""
    return _JsonResponse(body, headers or [])
