"""kill -9 of every process under load: service comes back, no event is lost or doubled, nobody hangs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import psutil
import pytest
from counting_provider import CACHED_TOKENS, COMPLETION_TOKENS, MODEL_PLAIN, MODEL_SLOW, PROMPT_TOKENS, CountingProvider
from ledger import Json, events

from llm_manager.testing.stack import Stack, running_stack, wait_until

_CALLERS = 8
# A stalled client would wait for ever; a typed error arrives after the silence limit of the bus (7 s) at the latest.
_HANG_SECONDS = 20.0


@pytest.fixture(scope="module")
def stack(provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product, with short times for requests and for looking for those that nobody recorded."""
    environment = {
        "OPENAI_API_KEY": "sk-counting-provider",
        "OPENAI_BASE_URL": provider.base_url,
        "LLM_MANAGER_GATEWAY_REQUEST_TIMEOUT_SECONDS": "15",
        "LLM_MANAGER_USAGE_RECONCILE_SECONDS": "1",
        "LLM_MANAGER_USAGE_RECONCILE_GRACE_SECONDS": "3",
    }
    with running_stack(tmp_path_factory.mktemp("kills"), environment=environment) as running:
        yield running


@dataclass
class Load:
    """What the callers saw, by request id: `ok`, an error code, or `connection` for a connection that broke."""

    seen: dict[str, str] = field(default_factory=dict)


async def _call(client: httpx2.AsyncClient, request_id: str, *, model: str, is_stream: bool) -> str:
    body = {"model": model, "stream": is_stream, "user": request_id, "messages": [{"role": "user", "content": "words"}]}
    try:
        async with client.stream(
            "POST", "/chat/completions", json=body, headers={"x-request-id": request_id}
        ) as answer:
            text = (await answer.aread()).decode()
            if answer.status_code != 200:
                return str(answer.json()["error"]["code"])
    except httpx2.TimeoutException:
        return "hang"
    except httpx2.TransportError:
        return "connection"
    if is_stream and "data: [DONE]" not in text:
        return "error_in_stream" if '"error"' in text else "cut"
    return "ok"


async def _load(stack: Stack, prefix: str, stop: asyncio.Event, *, slow_callers: int) -> Load:
    load = Load()
    headers = {"authorization": f"Bearer {stack.api_key}"}

    async def caller(number: int) -> None:
        turn = 0
        async with httpx2.AsyncClient(base_url=stack.base_url, headers=headers, timeout=_HANG_SECONDS) as client:
            while not stop.is_set():
                turn += 1
                request_id = f"{prefix}-{number}-{turn}"
                model = MODEL_SLOW if number < slow_callers else MODEL_PLAIN
                load.seen[request_id] = await _call(client, request_id, model=model, is_stream=turn % 2 == 0)
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        for number in range(_CALLERS):
            group.create_task(caller(number))
    return load


async def _kill_under_load(
    stack: Stack, *services: str, slow_callers: int = 1, number: signal.Signals = signal.SIGKILL
) -> Load:
    """Return what the callers saw, after a fresh request is answered again."""
    stop = asyncio.Event()
    service = "-".join(services)
    task = asyncio.create_task(_load(stack, f"{number.name}-{service}", stop, slow_callers=slow_callers))
    await asyncio.sleep(0.4)
    killed = await asyncio.gather(*(asyncio.to_thread(stack.kill, name, number) for name in services))
    killed_at = time.monotonic()
    await asyncio.to_thread(wait_until, lambda: not any(map(_runs, killed)), timeout_seconds=150, what="a replacement")
    await asyncio.to_thread(_wait_until_answered, stack, f"{number.name}-{service}")
    print(f"{number.name} of {service}: answered again after {time.monotonic() - killed_at:.1f} s")  # noqa: T201 (a figure to see with -s)
    await asyncio.sleep(0.4)
    stop.set()
    return await task


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _wait_until_answered(stack: Stack, service: str) -> None:
    attempts = 0

    def answered() -> bool:
        nonlocal attempts
        attempts += 1
        name = f"probe-{service}-{attempts}"
        body = {"model": MODEL_PLAIN, "user": name, "messages": [{"role": "user", "content": "words"}]}
        headers = {"authorization": f"Bearer {stack.api_key}", "x-request-id": name}
        try:
            answer = httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=2)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200 and bool(stack.status()["is_ready"])

    wait_until(answered, timeout_seconds=60, what=f"an answer after the kill of {service}")


def _settled(stack: Stack, provider: CountingProvider) -> list[Json]:
    """Wait until everything that the provider finished stands in the ledger, then return all rows."""
    rows: list[Json] = []

    def complete() -> bool:
        rows[:] = events(stack)
        return set(provider.books) <= {row["request_id"] for row in rows}

    wait_until(
        complete, timeout_seconds=60, what="every request of the provider's books in the ledger", every_seconds=0.3
    )
    return rows


@pytest.mark.requirement("L-4", "L-17", "T-3")
@pytest.mark.parametrize("service", ["usage", "nats", "gateway", "providers"])
async def test_kill_loses_and_doubles_nothing(stack: Stack, provider: CountingProvider, service: str) -> None:
    load = await _kill_under_load(stack, service)

    assert "hang" not in load.seen.values(), Counter(load.seen.values())
    assert Counter(load.seen.values())["ok"] > 20
    rows = await asyncio.to_thread(_settled, stack, provider)
    doubled = {name: n for name, n in Counter(row["request_id"] for row in rows).items() if n > 1}
    assert doubled == {}
    by_request = {row["request_id"]: row for row in rows}
    for request_id in [name for name, outcome in load.seen.items() if outcome == "ok"]:
        row = by_request[request_id]
        assert row["state"] == "ok"
        counted = row["usage"]["input_total"], row["usage"]["cache_read"], row["usage"]["output_total"]
        assert counted == (PROMPT_TOKENS, CACHED_TOKENS, COMPLETION_TOKENS)


@pytest.mark.parametrize("service", ["nats", "providers"])
async def test_a_frozen_process_is_replaced_and_nothing_is_lost(
    stack: Stack, provider: CountingProvider, service: str
) -> None:
    load = await _kill_under_load(stack, service, number=signal.SIGSTOP)

    assert "hang" not in load.seen.values(), Counter(load.seen.values())
    rows = await asyncio.to_thread(_settled, stack, provider)
    assert {name: n for name, n in Counter(row["request_id"] for row in rows).items() if n > 1} == {}
    by_request = {row["request_id"]: row for row in rows}
    assert {by_request[name]["state"] for name, outcome in load.seen.items() if outcome == "ok"} == {"ok"}


@pytest.mark.requirement("L-4", "L-17")
@pytest.mark.parametrize("pair", [("gateway", "providers"), ("providers", "nats"), ("usage", "gateway")], ids="-".join)
async def test_kill_of_two_at_once_leaves_a_row_of_everything_that_was_spent(
    stack: Stack, provider: CountingProvider, pair: tuple[str, str]
) -> None:
    load = await _kill_under_load(stack, *pair, slow_callers=_CALLERS - 2)

    assert "hang" not in load.seen.values(), Counter(load.seen.values())
    rows = await asyncio.to_thread(_settled, stack, provider)
    assert {name: n for name, n in Counter(row["request_id"] for row in rows).items() if n > 1} == {}
    by_request = {row["request_id"]: row for row in rows}
    assert {by_request[name]["state"] for name, outcome in load.seen.items() if outcome == "ok"} == {"ok"}
    assert {row["cost_state"] for row in rows if row["error_code"] == "worker_lost"} <= {"unpriced"}
