"""Sends an answer piece by piece: heartbeats while nothing comes, errors after the first byte inside the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_manager.core.errors import LlmManagerError, RequestCancelled
from llm_manager.gateway.errors import Headers
from llm_manager.gateway.http.body import WhileConnected
from llm_manager.gateway.http.exchange import exchange_of
from llm_manager.gateway.inference.rules import Call, Opening
from llm_manager.gateway.inference.run import Run
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.ingress.writer import AnswerWriter

# A client that takes nothing for so long while bytes wait for it is taken for gone.
_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class AnswerStream:
    """What to stream.

    Args:
        headers: asked once, right before the first byte, with what the provider's headers said; None when the first
            byte is a heartbeat.
    """

    inference: Inference
    call: Call
    writer: AnswerWriter
    input_characters: Callable[[], int]
    headers: Callable[[Opening | None], Headers]
    heartbeat_seconds: float


class EventStreamResponse(Response):
    """The answer of one streamed chat. Raises what goes wrong before the first byte, so that it gets a status."""

    def __init__(self, stream: AnswerStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end, an error, or until the client goes away."""
        stream = self._stream
        async with WhileConnected(receive) as connected:
            wire = _Wire(send, stream.headers)
            heartbeat = asyncio.create_task(_beat(wire, stream, connected), name="stream-heartbeat")
            try:
                async with stream.inference.run(stream.call, input_characters=stream.input_characters) as run:
                    await self._pass_on(run, wire)
            except RequestCancelled:
                raise
            except LlmManagerError as error:
                if not wire.has_started:
                    raise
                exchange = exchange_of(scope)
                exchange.error_code = error.code
                await wire.send(stream.writer.fail(error, request_id=exchange.request_id), is_last=True)
            finally:
                heartbeat.cancel()

    async def _pass_on(self, run: Run, wire: _Wire) -> None:
        writer = self._stream.writer
        while pieces := await run.arrived():
            if wire.opening is None:
                wire.opening = pieces[0].opening
            # what has come together leaves together
            data = b"".join(map(writer.write, pieces))
            if data:
                await wire.send(data)
        await wire.send(writer.finish(run.outcome), is_last=True)


class _Wire:
    """The connection to the client; the first bytes bring the status 200."""

    def __init__(self, send: Send, headers: Callable[[Opening | None], Headers]) -> None:
        self.has_started = False
        self.opening: Opening | None = None
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
                await self._send({"type": "http.response.start", "status": 200, "headers": self._headers(self.opening)})
            await self._send({"type": "http.response.body", "body": data, "more_body": not is_last})
            self.busy_since = None
            self.last_sent = self._loop.time()


async def _beat(wire: _Wire, stream: AnswerStream, connected: WhileConnected) -> None:
    loop, seconds = asyncio.get_running_loop(), stream.heartbeat_seconds
    while True:
        await asyncio.sleep(max(wire.last_sent + seconds - loop.time(), 0.001))
        now = loop.time()
        if wire.busy_since is not None:
            if now - wire.busy_since > _STUCK_SECONDS:
                connected.give_up("The client stopped reading.")
            await asyncio.sleep(min(seconds, _STUCK_SECONDS / 4))
        elif now - wire.last_sent >= seconds:
            # a dialect without a word for it gets none, but its client is still watched
            await wire.send(stream.writer.ping)
