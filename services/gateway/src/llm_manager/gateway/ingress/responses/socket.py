"""Responses over a WebSocket: one connection, many requests one after the other, each event a message.

Every request takes the way of one over HTTP, `http.edge` included (drain, request id, errors, span, log line): its
answer is written as HTTP, and its pieces become messages here.

Source: https://developers.openai.com/api/docs/guides/websocket-mode and Open Responses 2026-04-24, read on 2026-11-25.
"""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from llm_manager.core.errors import BodyTooLarge, LlmManagerError, RequestCancelled, UnsupportedParameter
from llm_manager.gateway.errors import Headers, error_headers
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.edge import Drain, Edge
from llm_manager.gateway.http.exchange import exchange_of, request_id_of
from llm_manager.gateway.ingress.asking import admitted, caller_of
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient
from llm_manager.gateway.ingress.responses.creation import Creation
from llm_manager.gateway.ingress.responses.errors import broken_answer, connection_limit, error_body, socket_error
from llm_manager.gateway.ingress.responses.framing import SocketMessages
from llm_manager.gateway.ingress.responses.memory import Memory
from llm_manager.gateway.ingress.responses.request import is_given
from llm_manager.gateway.ingress.responses.service import RESPONSES
from llm_manager.gateway.parts import PARTS

DRAIN: Built[Drain] = Built("drain")

CONNECTION_SECONDS = 3600.0
# Requests that wait for the one under way; behind them the connection is not read.
_MOST_WAITING = 4
# Of the handshake, not of its requests: each has an id and a body of its own.
_HANDSHAKE_ONLY = frozenset({b"x-request-id", b"content-type", b"content-length", b"content-encoding"})
_JSON = (b"content-type", b"application/json")
_OK = 200
# RFC 6455, section 7.4.1, and the IANA registry of close codes
_NORMAL, _POLICY_VIOLATION, _SERVICE_RESTART = 1000, 1008, 1012


class _RequestMessage(Lenient, frozen=True, kw_only=True):
    type: str = ""
    generate: bool | None = None
    stream_id: Raw = Raw()


async def answer_over_socket(socket: WebSocket) -> None:
    """Check the key, then answer requests until the client leaves, the gateway drains, or the hour is over."""
    handshake = Request(_as_http(socket.scope))
    request_id = request_id_of(socket.scope)
    headers: Headers = [(b"x-request-id", request_id.encode())]
    drain = DRAIN.of(handshake)
    try:
        drain.check()
        caller_of(handshake)
    except LlmManagerError as error:
        await _refuse(socket, error, headers, request_id=request_id)
        return
    await socket.accept(headers=headers)
    limits = PARTS.of(handshake).limits
    connection = Connection(socket, drain, max_message_bytes=limits.max_body_bytes)
    try:
        await connection.serve()
    except WebSocketDisconnect:
        return


async def _refuse(socket: WebSocket, error: LlmManagerError, headers: Headers, *, request_id: str) -> None:
    if "websocket.http.response" not in socket.scope.get("extensions", {}):
        await socket.close(_POLICY_VIOLATION, error.code)
        return
    refusal = Response(error_body(error, request_id=request_id), error.http_status)
    refusal.raw_headers.extend([*error_headers(error), *headers])
    await socket.send_denial_response(refusal)


class Connection:
    """An open connection.

    Args:
        seconds: for how long it is open at most; the request under way then still ends.
    """

    def __init__(
        self, socket: WebSocket, drain: Drain, *, max_message_bytes: int, seconds: float = CONNECTION_SECONDS
    ) -> None:
        self._socket = socket
        self._drain = drain
        self._max_message_bytes = max_message_bytes
        self._seconds = seconds
        self._memory = Memory(max_bytes=max_message_bytes)
        self._waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue(_MOST_WAITING)
        self._gone = asyncio.Event()

    async def serve(self) -> None:
        """Answer requests one after the other.

        Raises:
            WebSocketDisconnect: the client left while it was told something.
        """
        closes_at = asyncio.get_running_loop().time() + self._seconds
        reader = asyncio.create_task(self._read(), name="responses-socket-reader")
        try:
            while not self._drain.is_draining:
                try:
                    async with asyncio.timeout_at(closes_at):
                        message = await self._waiting.get()
                except TimeoutError:
                    await self._socket.send_text(connection_limit(self._seconds).decode())
                    await self._socket.close(_NORMAL, "connection limit reached")
                    return
                if message is None:
                    return
                await self._answer(message)
            if not self._gone.is_set():
                await self._socket.close(_SERVICE_RESTART, "shutting down")
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self) -> None:
        """Take what the client sends; also while a request is under way, so that its leaving is noticed."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._gone.set()
                await self._waiting.put(None)
                return
            text: str | None = message.get("text")
            await self._waiting.put(message.get("bytes", b"") if text is None else text)

    async def _answer(self, message: str | bytes) -> None:
        scope = _as_http(self._socket.scope)
        answer = _AsMessages(self._socket)
        request = _RequestApp(message, self._memory, self._gone, max_bytes=self._max_message_bytes)
        await Edge(request, drain=self._drain)(scope, request.receive, answer)
        if self._gone.is_set():
            return
        if not answer.is_over:
            await self._socket.send_text(broken_answer().decode())
        if exchange_of(scope).error_code:
            # as OpenAI does it: what a failed request went on from may be what was wrong with it
            self._memory.forget(request.previous_id)


class _RequestApp:
    """One request of a connection as an application of its own."""

    def __init__(self, message: str | bytes, memory: Memory, gone: asyncio.Event, *, max_bytes: int) -> None:
        self.previous_id: str | None = None
        self._message = message
        self._memory = memory
        self._gone = gone
        self._max_bytes = max_bytes
        self._body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; the errors are those of a request over HTTP."""
        message = self._message.encode() if isinstance(self._message, str) else self._message
        if len(message) > self._max_bytes:
            raise BodyTooLarge(f"The message is larger than {self._max_bytes} bytes; send less.")
        head = _checked(message)
        self._body = _as_body(message)
        request = Request(scope, receive, send)
        creation = Creation(
            await admitted(request), RESPONSES.of(request), memory=self._memory, framing=SocketMessages()
        )
        self.previous_id = creation.head.previous_response_id
        if head.generate is False:
            response = Response(await creation.warm_up())
        else:
            response = await creation.respond(is_stream=True)
        await response(scope, receive, send)

    async def receive(self) -> Message:
        """Hand out the body, and then nothing until the client has left."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}


class _AsMessages:
    """Takes an answer over HTTP and sends it as messages: its events, or the one error that it is."""

    def __init__(self, socket: WebSocket) -> None:
        self.is_over = False
        self._socket = socket
        self._status = _OK
        self._headers: Headers = []
        self._error = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
            return
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._status == _OK:
            events = [event for event in body.split(b"\n") if event]
        else:
            self._error += body
            events = [socket_error(self._error, status=self._status, headers=self._headers)] if is_last else []
        try:
            for event in events:
                await self._socket.send_text(event.decode())
        except (WebSocketDisconnect, RuntimeError) as error:
            # Starlette has a RuntimeError for a socket that is closed already
            raise RequestCancelled("The client went away before the answer was complete.") from error
        self.is_over = self.is_over or is_last


def _checked(message: bytes) -> _RequestMessage:
    head = decode(message, _RequestMessage)
    if head.type != "response.create":
        raise UnsupportedParameter(f"type is {head.type[:100]!r}; only response.create is known here.", param="type")
    if is_given(head.stream_id):
        raise UnsupportedParameter(
            "stream_id is not possible here: requests of one connection are answered one after the other; open another "
            "connection.",
            param="stream_id",
        )
    return head


def _as_body(message: bytes) -> bytes:
    """Return a message as the body of a request: what is only said over WebSockets is left out."""
    members = msgspec.json.decode(message, type=dict[str, Raw])
    kept = {name: value for name, value in members.items() if name not in ("type", "generate", "stream_id")}
    return msgspec.json.encode({**kept, "stream": True})


def _as_http(scope: Scope) -> Scope:
    """Return the scope of a connection as that of a request that came with its headers."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _HANDSHAKE_ONLY]
    return {**scope, "type": "http", "method": "POST", "headers": [*headers, _JSON]}
