"""A provider that keeps its own books, so that the ledger can be held against them.

An OpenAI-compatible server in a thread of its own. The model's name says how it behaves: one answers at once, one takes
a while, one never answers, one fails, one has no room, one breaks off. Every request is booked under the name in its
`user` field.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
CHUNKS = 20
# gpt-4o-mini, as priced in the price book: the counts below are for every finished request
MODEL_PLAIN, MODEL_SLOW, MODEL_SILENT = "gpt-4o-mini", "gpt-4o", "gpt-4.1"
MODEL_FAILING, MODEL_LIMITED, MODEL_BREAKING = "gpt-4.1-mini", "gpt-4.1-nano", "o4-mini"
MODEL_EMBEDDING = "text-embedding-3-small"
PROMPT_TOKENS, CACHED_TOKENS, COMPLETION_TOKENS = 100, 40, CHUNKS
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
}
_PAUSE_SECONDS = {MODEL_PLAIN: 0.0, MODEL_SLOW: 0.1, MODEL_SILENT: 30.0, MODEL_BREAKING: 0.0}
_FAILURES = {MODEL_FAILING: 500, MODEL_LIMITED: 429}


@dataclass
class Entry:
    """One request in the provider's books; times are monotonic."""

    came_at: float
    finished_at: float | None = None
    left_at: float | None = None
    is_refused: bool = False


@dataclass
class CountingProvider:
    """The provider and its books."""

    base_url: str = ""
    books: dict[str, list[Entry]] = field(default_factory=dict)

    def entries(self, user: str) -> list[Entry]:
        """What came under a name."""
        return self.books.get(user, [])

    @property
    def finished(self) -> list[str]:
        """Names of requests whose answer was sent whole, once for each time."""
        return [user for user, entries in self.books.items() for entry in entries if entry.finished_at]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat."""
        body: Json = json.loads(await request.read())
        model = body["model"]
        if model not in _PAUSE_SECONDS and model not in _FAILURES:
            return web.json_response({"error": {"message": "no such model", "code": "model_not_found"}}, status=404)
        entry = self._booked(body)
        if model in _FAILURES:
            entry.is_refused = True
            return web.json_response({"error": {"message": "not now"}}, status=_FAILURES[model])
        pause = _PAUSE_SECONDS[model]
        try:
            answer = await (_stream if body.get("stream") else _whole)(request, body, pause)
        except (asyncio.CancelledError, ConnectionError):
            entry.left_at = time.monotonic()
            raise
        if model != MODEL_BREAKING:
            entry.finished_at = time.monotonic()
        return answer

    async def embed(self, request: web.Request) -> web.StreamResponse:
        """Answer one call for embeddings."""
        body: Json = json.loads(await request.read())
        entry = self._booked(body)
        entry.finished_at = time.monotonic()
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    def _booked(self, body: Json) -> Entry:
        entry = Entry(time.monotonic())
        self.books.setdefault(body["user"], []).append(entry)
        return entry


async def _whole(request: web.Request, body: Json, pause: float) -> web.StreamResponse:
    await asyncio.sleep(pause * CHUNKS)
    message = {"role": "assistant", "content": "word " * CHUNKS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = web.json_response({**_head(body, "chat.completion"), "choices": [choice], "usage": _USAGE})
    await answer.prepare(request)
    await answer.write_eof()
    return answer


async def _stream(request: web.Request, body: Json, pause: float) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    head = _head(body, "chat.completion.chunk")

    async def send(choices: list[Json], **more: Any) -> None:
        await answer.write(b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n")

    await send([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for _ in range(CHUNKS):
        await asyncio.sleep(pause)
        await send([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}])
    if body["model"] == MODEL_BREAKING:
        assert request.transport is not None
        request.transport.close()
        return answer
    await send([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    await send([], usage=_USAGE)
    await answer.write(b"data: [DONE]\n\n")
    await answer.write_eof()
    return answer


def _head(body: Json, kind: str) -> Json:
    return {"id": f"chatcmpl-{body['user']}", "object": kind, "created": 1_795_000_000, "model": body["model"]}


@contextmanager
def counting_provider() -> Generator[CountingProvider]:
    """Serve on a free port while the context is open."""
    provider, started = CountingProvider(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", provider.handle)
        app.router.add_post("/v1/embeddings", provider.embed)
        # a handler learns at once that its client has gone
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="counting-provider", daemon=True)
    thread.start()
    assert started.wait(10), "the counting provider did not start"
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
