"""Callers of every temper at once: patient ones, those who leave, and those whose provider fails them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from counting_provider import (
    MODEL_BREAKING,
    MODEL_EMBEDDING,
    MODEL_FAILING,
    MODEL_LIMITED,
    MODEL_PLAIN,
    MODEL_SILENT,
    MODEL_SLOW,
)

from llm_manager.testing.stack import Stack

CALLERS = 12
# The product gives up after 15 s (test_kills.py); who has no answer by now would wait for ever.
HANG_SECONDS = 60.0
# of a provider at whose address nobody listens
MODEL_UNREACHABLE = "groq/llama-3.3-70b-versatile"
# begins the outcome of an error that is not in the shape of the dialect
UNREADABLE = "unreadable"
_PAUSE_SECONDS = 0.05
# without a gateway a caller is refused in a millisecond; a thousand such calls tell nothing
_PAUSE_AFTER_CONNECTION_SECONDS = 0.3


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Args:
        share: how often it is drawn, against the others.
        outcome: what its caller sees while nothing is disturbed.
        state: of its row then.
    """

    model: str
    share: int
    is_stream: bool = False
    leaves: Literal["never", "before the answer", "in mid-stream"] = "never"
    outcome: str = "ok"
    state: str = "ok"


KINDS = {
    "plain": Kind(MODEL_PLAIN, 6),
    "streamed": Kind(MODEL_PLAIN, 6, is_stream=True),
    "slow": Kind(MODEL_SLOW, 4),
    "slow, streamed": Kind(MODEL_SLOW, 4, is_stream=True),
    "embeddings": Kind(MODEL_EMBEDDING, 2),
    "leaves a whole answer": Kind(MODEL_SILENT, 2, leaves="before the answer", outcome="left", state="cancelled"),
    "leaves before a stream": Kind(
        MODEL_SILENT, 2, is_stream=True, leaves="before the answer", outcome="left", state="cancelled"
    ),
    "leaves in mid-stream": Kind(
        MODEL_SLOW, 4, is_stream=True, leaves="in mid-stream", outcome="left", state="cancelled"
    ),
    "provider fails": Kind(MODEL_FAILING, 2, outcome="upstream_unavailable", state="error"),
    "provider limits": Kind(MODEL_LIMITED, 2, outcome="provider_rate_limited", state="error"),
    "provider breaks off": Kind(MODEL_BREAKING, 2, is_stream=True, outcome="upstream_protocol_error", state="error"),
    "provider refuses": Kind(MODEL_UNREACHABLE, 2, outcome="upstream_unreachable", state="error"),
}


@dataclass(frozen=True)
class Call:
    """One call as its caller saw it; times are monotonic.

    Args:
        outcome: `ok`, `left` (by the caller's own will), the code of an error, `connection` for one that broke, `cut`
            for a stream without an end, `hang`, UNREADABLE and what came.
    """

    request_id: str
    kind: str
    began_at: float
    ended_at: float
    outcome: str


@dataclass
class Load:
    """Everything that was called; callers go on until `stop` is set."""

    stack: Stack
    seed: int
    calls: list[Call] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Call until `stop` is set, and end what was begun."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._caller(number))

    async def _caller(self, number: int) -> None:
        draw, turn = random.Random(f"{self.seed}-{number}"), 0
        headers = {"authorization": f"Bearer {self.stack.api_key}"}
        async with httpx2.AsyncClient(base_url=self.stack.base_url, headers=headers, timeout=None) as client:
            while not self.stop.is_set():
                turn += 1
                (name,) = draw.choices(list(KINDS), [kind.share for kind in KINDS.values()])
                request_id, began_at = f"load-{number}-{turn}", time.monotonic()
                outcome = await _outcome(client, request_id, KINDS[name], patience=draw.uniform(0.05, 1.0))
                self.calls.append(Call(request_id, name, began_at, time.monotonic(), outcome))
                await asyncio.sleep(_PAUSE_AFTER_CONNECTION_SECONDS if outcome == "connection" else _PAUSE_SECONDS)


async def _outcome(client: httpx2.AsyncClient, request_id: str, kind: Kind, *, patience: float) -> str:
    """Call once. A caller who leaves does so after `patience` in seconds, or after that share of 15 pieces."""
    pieces = round(patience * 15) if kind.leaves == "in mid-stream" else None
    try:
        if kind.leaves != "before the answer":
            async with asyncio.timeout(HANG_SECONDS):
                return await _ask(client, request_id, kind, pieces=pieces)
        try:
            async with asyncio.timeout(patience):
                return await _ask(client, request_id, kind, pieces=None)
        except TimeoutError:
            return "left"
    except TimeoutError:
        return "hang"
    except httpx2.TransportError:
        return "connection"


async def _ask(client: httpx2.AsyncClient, request_id: str, kind: Kind, *, pieces: int | None) -> str:
    body: dict[str, Any] = {"model": kind.model, "user": request_id}
    path = "/embeddings" if kind.model == MODEL_EMBEDDING else "/chat/completions"
    if kind.model == MODEL_EMBEDDING:
        body["input"] = "words"
    else:
        body |= {"stream": kind.is_stream, "messages": [{"role": "user", "content": "words"}]}
    async with client.stream("POST", path, json=body, headers={"x-request-id": request_id}) as answer:
        if answer.status_code != 200:
            return _code_of(answer.status_code, await answer.aread())
        if kind.is_stream:
            return await _read_stream(answer, pieces)
        await answer.aread()
        return "ok"


def _code_of(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"{UNREADABLE} {status} {body[:80]!r}"


async def _read_stream(answer: httpx2.Response, pieces: int | None) -> str:
    seen = 0
    async for line in answer.aiter_lines():
        if not line.startswith("data: "):
            continue
        if line == "data: [DONE]":
            return "ok"
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            return str(event["error"]["code"])
        seen += 1
        if pieces is not None and seen > pieces:
            return "left"
    return "cut"
