"""One host gets as many connections as there are requests for it: none waits for another's end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from llm_manager.providers.client import HttpCall, HttpClient, Limits
from llm_manager.providers.http1.reply import Reply

REQUESTS = 300
LIMITS = Limits(connect=60, headers=60, first_token=60, idle=60, total=60)


class PatientServer:
    """Answers nobody before it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.may_answer = asyncio.Event()
        self._held = 0
        self._changed = asyncio.Condition()

    async def held(self, count: int, *, seconds: float) -> int:
        """Return how many requests wait for an answer as soon as they are so many, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._held >= count)
        return self._held

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, answer it when the time has come, and hang up."""
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 2\r\n" in head.lower()
        await reader.readexactly(2)
        async with self._changed:
            self._held += 1
            self._changed.notify_all()
        await self.may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def patient_server() -> AsyncGenerator[PatientServer]:
    patient = PatientServer()
    server = await asyncio.start_server(patient.serve, "127.0.0.1", 0, backlog=2 * REQUESTS)
    patient.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield patient


async def ask(client: HttpClient, url: str) -> tuple[int, bytes]:
    async with client.open(HttpCall("POST", url, {}, b"{}", "Upstream", is_trusted=True), LIMITS) as answer:
        body = b""
        while data := await answer.read():
            body += data
        return answer.status, body


@pytest.mark.requirement("T-12")
async def test_three_hundred_requests_to_one_host_are_open_at_the_same_time() -> None:
    async with patient_server() as server, HttpClient() as client, asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(client, server.url)) for _ in range(REQUESTS)]
        held = await server.held(REQUESTS, seconds=15)
        server.may_answer.set()

    assert held == REQUESTS
    assert [task.result() for task in asking] == [(200, b"hello")] * REQUESTS


async def test_an_answer_that_was_read_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        async with patient_server() as server, HttpClient() as client:
            server.may_answer.set()
            assert await ask(client, server.url) == (200, b"hello")
            left = [thing for thing in gc.get_objects() if isinstance(thing, Reply)]
    finally:
        gc.enable()
    assert left == []
