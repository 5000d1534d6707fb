"""Kills and freezes processes of a running product, alone and in pairs, in the order that a seed gives."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import psutil
from counting_provider import MODEL_PLAIN

from llm_manager.testing.stack import Stack, wait_until

SERVICES = ("usage", "nats", "gateway", "providers")
# of a worker and of the bus, which no caller can tell from a slow one by himself
_FREEZES = ("providers", "nats")
_PAIRS_A_ROUND = 3
_CALM_SECONDS = (1.0, 4.0)
# Expected are 10 s (backoff and start); a product that does not come back at all is what this finds.
_BACK_SECONDS = 150.0


@dataclass(frozen=True)
class Blow:
    """What is done to which processes at once."""

    services: tuple[str, ...]
    number: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.number.name} of {' and '.join(self.services)}"


@dataclass(frozen=True)
class Disturbance:
    """A blow and what came of it; times are monotonic."""

    blow: Blow
    began_at: float
    replaced_at: float
    answered_at: float


def rounds(seed: int) -> Iterator[list[Blow]]:
    """Yield rounds without end: every process killed once, three pairs (two rounds have all six), every freeze."""
    draw = random.Random(seed)
    pairs = list(itertools.combinations(SERVICES, 2))
    draw.shuffle(pairs)
    endless = itertools.cycle(pairs)
    while True:
        blows = [Blow((service,)) for service in SERVICES]
        blows += [Blow(pair) for pair in itertools.islice(endless, _PAIRS_A_ROUND)]
        blows += [Blow((service,), signal.SIGSTOP) for service in _FREEZES]
        draw.shuffle(blows)
        yield blows


async def disturb(stack: Stack, *, seed: int, seconds: float) -> list[Disturbance]:
    """Strike until `seconds` are over, yet one whole round at least; each blow comes after a calm."""
    draw, until, done = random.Random(seed), time.monotonic() + seconds, list[Disturbance]()
    for number, blows in enumerate(rounds(seed)):
        for blow in blows:
            if number and time.monotonic() > until:
                return done
            await asyncio.sleep(draw.uniform(*_CALM_SECONDS))
            done.append(await asyncio.to_thread(_strike, stack, blow, f"probe-{len(done)}"))
    raise AssertionError("rounds never end")


def _strike(stack: Stack, blow: Blow, probe: str) -> Disturbance:
    pids = [int(stack.status()["pids"][service]) for service in blow.services]
    began_at = time.monotonic()
    for pid in pids:
        os.kill(pid, blow.number)
    wait_until(lambda: not any(map(_runs, pids)), timeout_seconds=_BACK_SECONDS, what=f"a replacement after {blow}")
    replaced_at = time.monotonic()
    attempts = itertools.count()
    wait_until(
        lambda: _answers(stack, f"{probe}-{next(attempts)}"),
        timeout_seconds=_BACK_SECONDS,
        what=f"an answer after {blow}",
    )
    return Disturbance(blow, began_at, replaced_at, time.monotonic())


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _answers(stack: Stack, request_id: str) -> bool:
    body = {"model": MODEL_PLAIN, "user": request_id, "messages": [{"role": "user", "content": "words"}]}
    headers = {"authorization": f"Bearer {stack.api_key}", "x-request-id": request_id}
    try:
        answer = httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=2)
    except httpx2.TransportError:
        return False
    return answer.status_code == 200 and bool(stack.status()["is_ready"])
