"""Sends a chat as server-sent events: heartbeats while nothing comes, errors after the first byte inside the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_manager.core.errors import LlmManagerError, RequestCancelled
from llm_manager.gateway.errors import Headers, error_body
from llm_manager.gateway.http.body import WhileConnected
from llm_manager.gateway.http.exchange import exchange_of
from llm_manager.gateway.inference.rules import Call, Outcome
from llm_manager.gateway.inference.service import Inference, Run
from llm_manager.gateway.ingress.openai.chunks import ChunkWriter
from llm_manager.kit.sse import comment, data_event

_PING, _DONE = comment("ping"), data_event(b"[DONE]")
# A client that takes nothing for so long while bytes wait for it is taken for gone.
_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChatStream:
    """What to stream.

    Args:
        usage: renders the outcome for the usage chunk; None when the client did not ask for one.
        headers: asked once, right before the first byte.
    """

    inference: Inference
    call: Call
    writer: ChunkWriter
    input_characters: Callable[[], int]
    usage: Callable[[Outcome], bytes] | None
    headers: Callable[[], Headers]
    heartbeat_seconds: float


class EventStreamResponse(Response):
    """The answer of one streamed chat. Raises what goes wrong before the first byte, so that it gets a status."""

    def __init__(self, stream: ChatStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end, an error, or until the client goes away."""
        stream = self._stream
        async with WhileConnected(receive) as connected:
            wire = _Wire(send, stream.headers)
            heartbeat = asyncio.create_task(_beat(wire, stream.heartbeat_seconds, connected), name="stream-heartbeat")
            try:
                async with stream.inference.run(stream.call, input_characters=stream.input_characters) as run:
                    await self._pass_on(run, wire)
            except RequestCancelled:
                raise
            except LlmManagerError as error:
                if not wire.has_started:
                    raise
                exchange_of(scope).error_code = error.code
                await wire.send(data_event(error_body(error)), is_last=True)
            finally:
                heartbeat.cancel()

    async def _pass_on(self, run: Run, wire: _Wire) -> None:
        writer, usage = self._stream.writer, self._stream.usage
        async for piece in run.pieces():
            chunks = writer.write(piece)
            run.output_characters = writer.characters
            if chunks:
                await wire.send(b"".join(map(data_event, chunks)))
        last = writer.finish(None if usage is None else usage(run.outcome))
        await wire.send(b"".join(map(data_event, last)) + _DONE, is_last=True)


class _Wire:
    """The connection to the client; the first bytes bring the status 200."""

    def __init__(self, send: Send, headers: Callable[[], Headers]) -> None:
        self.has_started = False
        self.busy_since: float | None = None
        self._send = send
        self._headers = headers
        self._lock = asyncio.Lock()
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self.last_sent = self._loop.time()

    async def send(self, data: bytes, *, is_last: bool = False) -> None:
        async with self._lock:
            if self._is_over:
                return
            self._is_over = is_last
            self.busy_since = self._loop.time()
            if not self.has_started:
                self.has_started = True
                await self._send({"type": "http.response.start", "status": 200, "headers": self._headers()})
            await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})
            self.busy_since = None
            self.last_sent = self._loop.time()


async def _beat(wire: _Wire, seconds: float, connected: WhileConnected) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(max(wire.last_sent + seconds - loop.time(), 0.001))
        now = loop.time()
        if wire.busy_since is not None:
            if now - wire.busy_since > _STUCK_SECONDS:
                connected.give_up("The client stopped reading.")
            await asyncio.sleep(min(seconds, _STUCK_SECONDS / 4))
        elif now - wire.last_sent >= seconds:
            await wire.send(_PING)
