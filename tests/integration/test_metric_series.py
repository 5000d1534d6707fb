"""Names that clients make up become no time series: each value of a label lives as long as its process."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
import grpc.aio
import httpx2
import pytest
from ledger import total

from llm_manager.testing.stack import Stack

SERVICES = ("gateway", "providers", "usage")
NAMES = 1_000
AT_ONCE = 16
QUIET_SECONDS = 3.0


def series_of(stack: Stack) -> Counter[str]:
    """The number of series by service and metric."""
    services, counted = stack.status()["services"], Counter[str]()
    for service in SERVICES:
        page = httpx2.get(f"{services[service]['ops_url']}/metrics", timeout=20).text
        names = (re.split("[{ ]", line)[0] for line in page.splitlines() if line and not line.startswith("#"))
        counted.update(f"{service} {name}" for name in names)
    return counted


async def ask(client: httpx2.AsyncClient, number: int) -> None:
    """One call of each kind in which everything that a client may choose has a name of its own."""
    name = f"invented-{number}"
    body = {"user": name, "metadata": {name: name}, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-request-id": name, "user-agent": name}
    model = (f"openai/{name}", f"echo/{name}", name)[number % 3]
    await client.post("/v1/chat/completions", json={**body, "model": model}, headers=headers)
    await client.request("GET", f"/v1/{name}", headers={"authorization": f"Bearer {name}"})
    await client.get(f"/v1/models/{name}", params={name: name})
    # the server takes the methods of the standards only, and ends the connection
    with suppress(httpx2.HTTPError):
        await client.request(name.upper(), "/v1/models")


async def call_unknown_method(channel: grpc.aio.Channel, number: int) -> None:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        f"/llm_manager.inference.v1.InferenceService/Invented{number}"
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await method(b"", timeout=20)


async def each(call: Callable[[int], Awaitable[None]], numbers: range) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            await call(number)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


def wait_for_the_ledger(stack: Stack) -> None:
    """Return when no row has come for longer than the ledger gathers a batch: each state's first row adds a series."""
    rows, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        time.sleep(0.2)
        if (now := total(stack)["attempts"]) != rows:
            rows, since = now, time.monotonic()


def test_a_thousand_invented_names_add_no_series(stack: Stack) -> None:
    async def invent(numbers: range) -> None:
        headers = {"authorization": f"Bearer {stack.api_key}"}
        async with httpx2.AsyncClient(base_url=stack.origin, headers=headers, timeout=60) as client:
            await each(lambda number: ask(client, number), numbers)
        async with grpc.aio.insecure_channel(stack.grpc) as channel:
            await each(lambda number: call_unknown_method(channel, number), numbers)

    asyncio.run(invent(range(AT_ONCE)))
    wait_for_the_ledger(stack)
    before = series_of(stack)
    asyncio.run(invent(range(AT_ONCE, AT_ONCE + NAMES)))
    assert series_of(stack) - before == Counter()
