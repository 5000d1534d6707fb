"""The demo: an upstream inside of the worker, so that the first request works without any account.

Offline and deterministic: it says that it is a demo and repeats the last text of the user. A word is a token. It
speaks Ollama's dialect, so it goes the way of every other provider (features S22).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.providers.client import HttpCall, LimitName, Limits

LABEL = "Echo (demo):"
DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
_WORD = re.compile(r"\S+\s*")


class EchoAnswer:
    """Lines of an answer; the protocol is `client.Answer`."""

    def __init__(self, status: int, lines: Iterator[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/x-ndjson"}
        self.waits_for: LimitName = "idle"
        self._lines = lines

    async def read(self) -> bytes:
        """Return the next line, empty at the end."""
        return next(self._lines, b"")

    def expect(self, limit: LimitName) -> None:
        """Take note; nothing here ever waits."""
        self.waits_for = limit


class EchoUpstream:
    """Answers in place of a server; the interface of `client.HttpClient`."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @asynccontextmanager
    async def open(self, call: HttpCall, limits: Limits) -> AsyncGenerator[EchoAnswer]:  # noqa: ARG002 (nothing waits)
        """Answer a request of Ollama's API."""
        path = call.url
        # Any: our own dialect wrote this body
        body: dict[str, Any] = msgspec.json.decode(call.body) if call.body else {}
        if path.endswith(self._facts.paths.chat):
            yield _chat(body)
        elif path.endswith(self._facts.paths.embeddings):
            yield _embeddings(body)
        else:
            models = [{"name": name, "model": name} for name in self._facts.models]
            yield EchoAnswer(200, iter([msgspec.json.encode({"models": models})]))


def _chat(body: dict[str, Any]) -> EchoAnswer:
    options: dict[str, Any] = body.get("options") or {}
    messages: list[dict[str, Any]] = body["messages"]
    prompt = sum(len(str(message.get("content") or "").split()) for message in messages)
    words, reason = _answer(messages, options)
    head = {"model": body["model"], "created_at": "1970-01-01T00:00:00Z"}
    last = {"done": True, "done_reason": reason, "prompt_eval_count": prompt, "eval_count": len(words)}
    if not body.get("stream"):
        whole = {**head, "message": {"role": "assistant", "content": "".join(words)}, **last}
        return EchoAnswer(200, iter([msgspec.json.encode(whole)]))
    lines = (
        msgspec.json.encode({**head, "message": {"role": "assistant", "content": word}, "done": False}) + b"\n"
        for word in words
    )
    end = msgspec.json.encode({**head, "message": {"role": "assistant", "content": ""}, **last}) + b"\n"
    return EchoAnswer(200, (line for part in (lines, (end,)) for line in part))


def _answer(messages: list[dict[str, Any]], options: dict[str, Any]) -> tuple[list[str], str]:
    said = next((str(m.get("content") or "") for m in reversed(messages) if m.get("role") == "user"), "")
    text = f"{LABEL} {said}" if said else LABEL
    for stop in options.get("stop") or ():
        text = text.partition(stop)[0] if stop else text
    words = _WORD.findall(text)
    limit = options.get("num_predict")
    if limit is not None and limit < len(words):
        return [*words[: limit - 1], words[limit - 1].rstrip()] if limit > 0 else [], "length"
    return words, "stop"


def _embeddings(body: dict[str, Any]) -> EchoAnswer:
    texts: list[str] = body["input"]
    size = int(body.get("dimensions") or DEFAULT_DIMENSIONS)
    if not 1 <= size <= MAX_DIMENSIONS:
        error = {"error": f"dimensions must be between 1 and {MAX_DIMENSIONS}"}
        return EchoAnswer(400, iter([msgspec.json.encode(error)]))
    answer = {
        "model": body["model"],
        "embeddings": [_vector(text, size) for text in texts],
        "prompt_eval_count": sum(len(text.split()) for text in texts),
    }
    return EchoAnswer(200, iter([msgspec.json.encode(answer)]))


def _vector(text: str, size: int) -> list[float]:
    """Return a unit vector that depends on the words only: texts that share words are closer than others."""
    vector = [0.0] * size
    for word in text.lower().split() or [""]:
        seed = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for block in range(4):
            digest = hashlib.blake2b(seed, digest_size=8, salt=bytes([block]) * 4).digest()
            vector[int.from_bytes(digest[:4]) % size] += 1.0 if digest[4] & 1 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    if not norm:
        vector[0] = norm = 1.0
    return [round(value / norm, 9) for value in vector]
