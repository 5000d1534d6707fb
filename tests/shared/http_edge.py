"""The HTTP edge on a free port with an application of a few lines, and clients that write bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from llm_manager.gateway.http.body import WhileConnected
from llm_manager.gateway.http.connections import ConnectionLimits, Connections
from llm_manager.gateway.http.edge import Drain, Edge
from llm_manager.gateway.server import serving

DEADLINE_SECONDS = 20.0


@dataclass
class App:
    """Answers every request with `METHOD path body`, or as its path says."""

    asked: list[str] = field(default_factory=list[str])
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    is_holding: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/unread":
                await self._answer(send, b"refused")
            case "/injected":
                evil: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1\r\nx-b: 2")]}
                await send(evil)
            case "/endless":
                await self._endless(receive, send)
            case path:
                body = await _body(receive)
                self.asked.append(f"{scope['method']} {path} {body.decode()}")
                if path == "/held":
                    await self._held(receive)
                await self._answer(send, self.asked[-1].encode())

    async def _held(self, receive: Receive) -> None:
        try:
            async with WhileConnected(receive):
                self.is_holding.set()
                await self.release.wait()
        except BaseException:
            self.cancelled.set()
            raise

    async def _endless(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            async with WhileConnected(receive):
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
                    await asyncio.sleep(0)
        finally:
            self.cancelled.set()

    async def _answer(self, send: Send, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return body


class Client:
    """A connection on which a test writes what it likes; every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *segments: bytes) -> None:
        """Send each segment on its own; the next one when the server had a turn to read the one before."""
        for segment in segments:
            self._writer.write(segment)
            await self._writer.drain()
            for _ in range(20):
                await asyncio.sleep(0)

    async def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], str]:
        """Read one answer with a stated length: its status, headers and body."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            length = int(headers.get("content-length", "0")) if has_body else 0
            body = await self._reader.readexactly(length)
        return int(status_line.split(" ")[1]), headers, body.decode()

    async def line(self) -> bytes:
        """Read one line."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._reader.readline()

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._reader.read()

    def leave(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()


@dataclass
class Edged:
    """A server under test."""

    app: App
    drain: Drain
    connections: Connections
    connect: Callable[[], AbstractAsyncContextManager[Client]]


Serve = Callable[[ConnectionLimits], AbstractAsyncContextManager[Edged]]


@asynccontextmanager
async def served(limits: ConnectionLimits) -> AsyncGenerator[Edged]:
    app, drain, connections = App(), Drain(), Connections(limits)
    drain.when_begun(connections.let_go)
    failures: list[BaseException] = []
    edge = Edge(app, drain=drain)
    async with serving(edge, host="127.0.0.1", port=0, on_failure=failures.append, connections=connections) as port:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Client]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
            try:
                yield Client(reader, writer)
            finally:
                writer.transport.abort()

        yield Edged(app, drain, connections, connect)
    assert failures == []
