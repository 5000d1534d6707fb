"""A provider that does what a test wants: silence, garbage, half an answer, and it notes when we hang up.

Plain asyncio and not aiohttp: a server library would hide exactly the states that are wanted here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; `inf` seconds is silence until the peer hangs up."""

    seconds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Cut:
    """Break the connection, in the middle of the body."""


Step = bytes | Pause | Cut


@dataclass(frozen=True, slots=True)
class Script:
    """One answer.

    Args:
        steps: pieces of the body as they go out, each in a network packet of its own.
        before_headers: what happens between the request and the headers.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    before_headers: Sequence[Pause | Cut] = ()


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """What arrived. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """Return the body as a table."""
        return msgspec.json.decode(self.body, type=dict[str, object])


SILENT_AFTER_ACCEPT = Script(before_headers=[Pause()])
SILENT_AFTER_HEADERS = Script(steps=[Pause()])


def sse(*events: object) -> list[bytes]:
    """Return events as server-sent events; text stays as it is, everything else becomes JSON."""
    texts = [event if isinstance(event, str) else msgspec.json.encode(event).decode() for event in events]
    return [f"data: {text}\n\n".encode() for text in texts]


def chunk(text: str = "", *, finish: str | None = None, usage: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return a chunk of OpenAI's form."""
    delta = {"content": text} if text else {}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-says",
        "choices": [choice],
        "usage": usage,
    }


def usage_chunk(usage: Mapping[str, object]) -> dict[str, object]:
    """Return the chunk without choices that ends a stream with usage."""
    none: list[object] = []
    return {**chunk(usage=usage), "choices": none}


def completion(text: str, *, usage: Mapping[str, object] | None) -> Script:
    """Return a whole answer of OpenAI's form."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-says",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": usage,
    }
    return Script(steps=[msgspec.json.encode(body)], headers={"content-type": "application/json"})


class FakeUpstream:
    """Plays `script` for every request, and keeps what it saw."""

    def __init__(self) -> None:
        self.script = Script()
        self.requests: list[SeenRequest] = []
        self.base_url = ""
        self.connections = 0
        self._hangups = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def wait_for_requests(self, count: int = 1, *, seconds: float = 5.0) -> None:
        """Return when so many requests have arrived."""
        await self._wait(lambda: len(self.requests) >= count, seconds)

    async def wait_for_hangups(self, count: int = 1, *, seconds: float = 5.0) -> None:
        """Return when the peer has closed so many connections before the end of the script."""
        await self._wait(lambda: self._hangups >= count, seconds)

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                async with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                if not await self._play(self.script, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            await self._note_hangup()
        finally:
            writer.close()

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play one answer; returns whether the connection can go on."""
        for step in script.before_headers:
            if not await self._step(step, reader, writer):
                return False
        head = f"HTTP/1.1 {script.status} X\r\ntransfer-encoding: chunked\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in script.headers.items())
        writer.write(head.encode() + b"\r\n")
        await writer.drain()
        for step in script.steps:
            if not await self._step(step, reader, writer):
                return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _step(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match step:
            case Pause(seconds=seconds):
                # The peer sends nothing more, so what comes is its hanging up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if seconds == float("inf") else seconds):
                        await reader.read(1)
                        await self._note_hangup()
                        return False
                return True
            case Cut():
                writer.transport.abort()
                return False
            case _:
                writer.write(b"%x\r\n%b\r\n" % (len(step), step))
                await writer.drain()
                # One packet per step, as far as the loopback lets us say.
                await asyncio.sleep(0)
                return True

    async def _note_hangup(self) -> None:
        async with self._changed:
            self._hangups += 1
            self._changed.notify_all()

    def start_serving(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection. For `fake_upstream` only."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what still plays. For `fake_upstream` only."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def fake_upstream(script: Script | None = None) -> AsyncGenerator[FakeUpstream]:
    """Serve on a free port of the loopback while entered."""
    upstream = FakeUpstream()
    if script is not None:
        upstream.script = script
    server = await asyncio.start_server(upstream.start_serving, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream.base_url = f"http://127.0.0.1:{port}"
    try:
        yield upstream
    finally:
        server.close()
        await upstream.stop()
        await server.wait_closed()


async def _read_request(reader: asyncio.StreamReader) -> SeenRequest | None:
    line = await reader.readline()
    if not line:
        return None
    method, _, rest = line.decode("latin-1").partition(" ")
    path, _, version = rest.partition(" ")
    if not version.startswith("HTTP/"):
        # somebody speaks TLS to us
        return None
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return SeenRequest(method, path, headers, body)
