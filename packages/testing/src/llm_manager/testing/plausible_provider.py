"""The model made of rules behind OpenAI's API: a provider for clients that expect sense.

The model's name steers failures: `fail-429`, `fail-500`, `fail-400` answer so (429 with `retry-after: 1`), `fail-twice`
answers 500 twice and then well, `fail-stream` breaks off after two pieces with an error, `slow` waits two seconds.
What else it refuses, a test writes into `refuses`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from llm_manager.testing.plausible_model import Choice, Json, answer, last_question, text_of, tokens_of, words_of

_SLOW_SECONDS = 2.0
_DIMENSIONS = 8


@dataclass
class PlausibleProvider:
    """A running provider; `requests` holds every body that it was asked.

    Args:
        models: what it lists.
        refuses: text in the body of a chat to the status that it is answered with.
    """

    base_url: str = ""
    models: list[str] = field(default_factory=lambda: ["plausible"])
    refuses: dict[str, int] = field(default_factory=dict[str, int])
    requests: list[Json] = field(default_factory=list[Json])
    disconnects: list[str] = field(default_factory=list[str])
    _failed: Counter[str] = field(default_factory=Counter[str])

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer /chat/completions."""
        body: Json = await request.json()
        self.requests.append(body)
        model = str(body["model"])
        refused = self._refusal(model) or self._refusal_of(json.dumps(body))
        if refused is not None:
            return refused
        try:
            if model == "slow":
                await asyncio.sleep(_SLOW_SECONDS)
            if body.get("stream"):
                return await _streamed(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects.append(model)
            raise
        choices = [_whole(answer(body), index) for index in range(int(body.get("n") or 1))]
        return web.json_response({**_head(body, "chat.completion"), "choices": choices, "usage": _usage(body)})

    def _refusal(self, model: str) -> web.Response | None:
        if model == "fail-twice":
            self._failed[model] += 1
            return None if self._failed[model] % 3 == 0 else _error(500, "The engine stumbled.", "server_error")
        match model:
            case "fail-400":
                return _error(400, "The request is wrong on purpose.", "invalid_request_error", "wrong_on_purpose")
            case "fail-429":
                return _error(429, "Too many requests on purpose.", "requests", "rate_limit_exceeded")
            case "fail-500":
                return _error(500, "The engine failed on purpose.", "server_error")
            case _:
                return None

    def _refusal_of(self, body: str) -> web.Response | None:
        status = next((status for text, status in self.refuses.items() if text in body), None)
        return None if status is None else _error(status, "This engine cannot do that.", "invalid_request_error")

    async def list_models(self, request: web.Request) -> web.Response:  # aiohttp's signature
        """Answer /models."""
        data = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "test"} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def embeddings(self, request: web.Request) -> web.Response:
        """Answer /embeddings: vectors of letter counts."""
        body: Json = await request.json()
        self.requests.append(body)
        asked = body["input"]
        texts = [asked] if isinstance(asked, str) else [str(item) for item in asked]
        size = int(body.get("dimensions") or _DIMENSIONS)
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": [text.count(chr(97 + i % 26)) + 0.5 for i in range(size)],
            }
            for index, text in enumerate(texts)
        ]
        used = sum(map(tokens_of, texts))
        usage = {"prompt_tokens": used, "total_tokens": used}
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})


async def _streamed(request: web.Request, body: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    sent = 0
    for index in range(int(body.get("n") or 1)):
        for delta, finish in _deltas(answer(body)):
            choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}
            await _send(response, {**_head(body, "chat.completion.chunk"), "choices": [choice]})
            sent += 1
            if body["model"] == "fail-stream" and sent == 2:
                await _send(response, {"error": {"message": "The engine broke.", "type": "server_error", "code": None}})
                return response
            await asyncio.sleep(0)
    options: Json = body.get("stream_options") or dict[str, Any]()
    if options.get("include_usage"):
        await _send(response, {**_head(body, "chat.completion.chunk"), "choices": [], "usage": _usage(body)})
    await response.write(b"data: [DONE]\n\n")
    return response


async def _send(response: web.StreamResponse, document: Json) -> None:
    await response.write(b"data: " + json.dumps(document).encode() + b"\n\n")


def _deltas(choice: Choice) -> list[tuple[Json, str | None]]:
    deltas: list[tuple[Json, str | None]] = [({"role": "assistant", "content": None if choice.calls else ""}, None)]
    deltas += [({"content": word}, None) for word in words_of(choice.text)]
    for index, (name, arguments) in enumerate(choice.calls):
        opener = {
            "index": index,
            "id": _call_id(index),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        deltas.append(({"tool_calls": [opener]}, None))
        middle = len(arguments) // 2
        for part in (arguments[:middle], arguments[middle:]):
            deltas.append(({"tool_calls": [{"index": index, "function": {"arguments": part}}]}, None))
    return [*deltas, ({}, choice.finish_reason)]


def _whole(choice: Choice, index: int) -> Json:
    message: Json = {"role": "assistant", "content": choice.text or None, "refusal": None}
    if choice.calls:
        message["tool_calls"] = [
            {"id": _call_id(number), "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(choice.calls)
        ]
    return {"index": index, "message": message, "finish_reason": choice.finish_reason, "logprobs": None}


def _call_id(number: int) -> str:
    return f"call_{number:024d}"


def _head(body: Json, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{len(last_question(body['messages']))}",
        "object": kind,
        "created": 1_700_000_000,
        "model": body["model"],
    }


def _usage(body: Json) -> Json:
    prompt = sum(tokens_of(text_of(message.get("content"))) for message in body["messages"]) or 1
    choice = answer(body)
    said = (tokens_of(choice.text) + sum(tokens_of(arguments) + 1 for _, arguments in choice.calls)) * int(
        body.get("n") or 1
    )
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def _error(status: int, message: str, kind: str, code: str | None = None) -> web.Response:
    headers = {"retry-after": "1"} if status == 429 else {}
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


@contextmanager
def plausible_provider() -> Generator[PlausibleProvider]:
    """Run the provider in a thread of its own on a free port."""
    provider, started, stop = PlausibleProvider(), threading.Event(), threading.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", provider.chat)
        app.router.add_post("/v1/embeddings", provider.embeddings)
        app.router.add_get("/v1/models", provider.list_models)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="plausible-provider", daemon=True)
    thread.start()
    if not started.wait(10):
        raise RuntimeError("the provider did not start")
    try:
        yield provider
    finally:
        stop.set()
        thread.join(10)
