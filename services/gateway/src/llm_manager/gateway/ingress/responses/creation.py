"""One request for a response: history, call, answer, and its place in the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import msgspec
from msgspec import Meta, Raw
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from llm_manager.core.deltas import Finish
from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import ChatInput
from llm_manager.gateway.errors import Headers
from llm_manager.gateway.inference.rules import Call, NativeBody, Outcome, Piece
from llm_manager.gateway.ingress.asking import Asked
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.opaque import is_carried_in
from llm_manager.gateway.ingress.responses.events import Answer, EndedWriter, ResponseEvents
from llm_manager.gateway.ingress.responses.items import history, items_of, kind_of, references_in, resolved, with_input
from llm_manager.gateway.ingress.responses.native_events import NativeResponseEvents, with_usage, without_store
from llm_manager.gateway.ingress.responses.request import ResponseHead, ResponseRequest, is_given, raw_items
from llm_manager.gateway.ingress.responses.service import StoredResponses
from llm_manager.gateway.ingress.responses.shape import Shape, new_response_id, response_of_item
from llm_manager.gateway.ingress.responses.translation import chat_of, read_request
from llm_manager.gateway.ingress.responses.turn import Turn
from llm_manager.gateway.ingress.responses.turns import DIALECT

_NOT_STORED: Headers = [(b"x-llm-manager-warning", b"the response could not be stored; it cannot be gone on from")]


class _Ended(msgspec.Struct, frozen=True):
    id: Annotated[str, Meta(min_length=1, max_length=512)]
    model: str | None = None
    status: str | None = None
    store: bool | None = None


class Creation:
    """One request and its way."""

    def __init__(self, asked: Asked, responses: StoredResponses) -> None:
        self.asked = asked
        self.head = decode(asked.body, ResponseHead)
        self.before: Sequence[Turn] = ()
        self._responses = responses
        self.created_at = responses.now()
        _refuse(self.head)

    @property
    def is_stored(self) -> bool:
        """Whether the client wants the response to be stored."""
        return self.head.store is not False

    @cached_property
    def request(self) -> ResponseRequest:
        """The request in full, for translation; see `translation.read_request`."""
        return read_request(self.asked.body)

    def chat(self) -> ChatInput:
        """Return the request in neutral words."""
        return chat_of(self.request, self.asked.body)

    def shape(self, model: str) -> Shape:
        """Describe the response that is going to be made."""
        return Shape(
            id=new_response_id(),
            created_at=int(self.created_at.timestamp()),
            model=model,
            request=self.request,
            previous_response_id=self.head.previous_response_id,
        )

    async def respond(self, *, is_stream: bool) -> Response:
        """Make the response.

        Raises:
            LlmManagerError: it could not be made.
        """
        call = await self._call(is_stream=is_stream)
        return self._streamed(call) if is_stream else await self._whole(call)

    async def warm_up(self) -> bytes:
        """Keep a request without asking any model; return the events of its response, which has no output.

        Source: https://developers.openai.com/api/docs/guides/websocket-mode (`generate: false`), read on 2026-11-25.

        Raises:
            LlmManagerError: it could not have been answered.
        """
        call = await self._call(is_stream=True)
        shape = self.shape(call.target.upstream_model)
        writer = ResponseEvents(Answer(shape, with_cost=False, is_stored=self.is_stored))
        written = writer.write(Piece(deltas=(Finish(reason="stop"),))) + writer.finish(Outcome())
        is_kept = await self.keep(call, writer.final or b"", is_upstream=False)
        return written if is_kept else writer.unstored(written)

    async def _call(self, *, is_stream: bool) -> Call:
        await self.with_history()
        return self.asked.call(
            "chat",
            self.head.model,
            dialect=DIALECT,
            neutral=self.chat,
            is_stream=is_stream,
            end_user=self.head.safety_identifier or self.head.user or "",
        )

    async def with_history(self, *, is_expanded: bool = False) -> None:
        """Put what went before into the body, unless the provider itself knows it.

        Args:
            is_expanded: the body is going to be translated whoever the provider is.

        Raises:
            PreviousResponseNotFound, ModelNotFound, InvalidRequest, StoreUnavailable.
        """
        asked, head = self.asked, self.head
        target = asked.parts.catalogue.snapshot.resolve(head.model, asked.caller)
        speaks = not is_expanded and asked.parts.inference.speaks(target, DIALECT)
        is_native = speaks and not is_carried_in(asked.body)
        previous = head.previous_response_id
        if previous:
            self.before = await self._history(previous)
            last = self.before[-1]
            if is_native and last.is_upstream and last.provider == target.provider:
                return
        items = raw_items(head.input)
        if references_in(items):
            items = await self._resolved(items)
        elif not previous:
            return
        earlier = history(self.before, provider=target.provider if is_native else None)
        asked.body = with_input(asked.body, [*earlier, *items])

    async def _history(self, response_id: str) -> Sequence[Turn]:
        return await self._responses.history(self.asked.caller.app_id, response_id)

    async def _resolved(self, items: Sequence[Raw]) -> list[Raw]:
        """Replace references to items of this conversation, and of earlier responses of ours."""
        known = {kind_of(item).id: item for turn in self.before for item in items_of(turn)}
        for item_id in references_in(items):
            response_id = response_of_item(item_id)
            if item_id in known or response_id is None:
                continue
            turn = await self._responses.find(self.asked.caller.app_id, response_id)
            known.update({kind_of(item).id: item for item in items_of(turn)} if turn is not None else {})
        return resolved(items, known.get)

    async def _whole(self, call: Call) -> Response:
        asked = self.asked
        answer = await asked.whole(call)
        if isinstance(call.input, NativeBody):
            body = with_usage(answer.native, answer.outcome, with_cost=asked.with_cost)
        else:
            ended = self._answer(call)
            for piece in answer.pieces:
                ended.add(piece)
            body = msgspec.json.encode(ended.ended(answer.outcome))
        is_kept = await self.keep(call, body)
        response = asked.respond(body if is_kept else without_store(body), answer)
        if not is_kept:
            response.raw_headers.extend(_NOT_STORED)
        return response

    def _streamed(self, call: Call) -> Response:
        writer: EndedWriter
        if isinstance(call.input, NativeBody):
            writer = NativeResponseEvents(with_cost=self.asked.with_cost)
        else:
            writer = ResponseEvents(self._answer(call))
        return KeptStream(self.asked.stream(call, writer), writer, self, call)

    def _answer(self, call: Call) -> Answer:
        shape = self.shape(call.target.upstream_model)
        return Answer(shape, with_cost=self.asked.with_cost, is_stored=self.is_stored)

    async def keep(self, call: Call, response: bytes, *, is_upstream: bool | None = None) -> bool:
        """Store an ended response where the client wants it; return False when that failed.

        Args:
            is_upstream: whether the provider keeps it too; None reads it off the response.
        """
        previous = self.head.previous_response_id or ""
        try:
            ended = msgspec.json.decode(response, type=_Ended)
        except msgspec.DecodeError:
            # the answer of a provider, which is paid: the client gets it, but nobody could name it later
            return not self.is_stored
        if ended.id == previous:
            return not self.is_stored
        if is_upstream is None:
            # a provider may be told by its owner to store nothing
            is_upstream = isinstance(call.input, NativeBody) and self.is_stored and ended.store is not False
        turn = Turn(
            id=ended.id,
            app_id=self.asked.caller.app_id,
            previous_id=previous,
            model=(ended.model or call.target.upstream_model)[:512],
            provider=call.target.provider,
            is_upstream=is_upstream,
            created_at=self.created_at,
            expires_at=self._responses.expiry(self.created_at),
            input=bytes(self.head.input) or b"[]",
            response=response,
        )
        return await self._responses.keep(turn) if self.is_stored else True


class KeptStream(Response):
    """A streamed response that is stored right before the client hears of its end."""

    def __init__(self, inner: Response, writer: EndedWriter, creation: Creation, call: Call) -> None:
        super().__init__()
        self._inner = inner
        self._writer = writer
        self._creation = creation
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream; the errors are those of the inner response."""
        is_kept: bool | None = None

        async def keeping(message: Message) -> None:
            nonlocal is_kept
            final = self._writer.final
            if final is not None and message["type"] == "http.response.body":
                if is_kept is None:
                    is_kept = await self._creation.keep(self._call, final)
                if not is_kept:
                    message = {**message, "body": self._writer.unstored(message["body"])}
            await send(message)

        await self._inner(scope, receive, keeping)


def _refuse(head: ResponseHead) -> None:
    if head.background:
        raise UnsupportedParameter(
            "background is not possible here: a response is made while its request waits; leave it out.",
            param="background",
        )
    if is_given(head.conversation):
        raise UnsupportedParameter(
            "conversation is not kept here; go on with previous_response_id instead.", param="conversation"
        )
    if not is_given(head.input):
        return
    try:
        raw_items(head.input)
    except msgspec.DecodeError as error:
        raise InvalidRequest("input is neither a text nor a list of items.", param="input") from error
