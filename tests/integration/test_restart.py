"""Stopping the whole product under load, and starting it again: what was spent stands in the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx2
import pytest
from counting_provider import COMPLETION_TOKENS, MODEL_PLAIN, MODEL_SLOW, PROMPT_TOKENS, CountingProvider
from ledger import events

from llm_manager.testing.stack import Stack, running_stack, wait_until


async def _ask(client: httpx2.AsyncClient, request_id: str, *, model: str, is_stream: bool) -> str:
    body = {"model": model, "stream": is_stream, "user": request_id, "messages": [{"role": "user", "content": "words"}]}
    try:
        answer = await client.post("/chat/completions", json=body, headers={"x-request-id": request_id})
    except httpx2.TransportError:
        return "connection"
    if answer.status_code != 200:
        return str(answer.json()["error"]["code"])
    return "cut" if is_stream and "[DONE]" not in answer.text else "ok"


async def _caller(stack: Stack, number: int, stop: asyncio.Event, seen: dict[str, str]) -> None:
    turn = 0
    headers = {"authorization": f"Bearer {stack.api_key}"}
    async with httpx2.AsyncClient(base_url=stack.base_url, headers=headers, timeout=20) as client:
        while not stop.is_set():
            turn += 1
            request_id = f"restart-{number}-{turn}"
            model = MODEL_SLOW if number < 4 else MODEL_PLAIN
            seen[request_id] = await _ask(client, request_id, model=model, is_stream=turn % 2 == 0)
            await asyncio.sleep(0.02)


@pytest.mark.requirement("L-17")
async def test_stop_under_load_finishes_what_runs_and_keeps_every_event(
    provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data_dir = tmp_path_factory.mktemp("restarted")
    environment = {"OPENAI_API_KEY": "sk-counting-provider", "OPENAI_BASE_URL": provider.base_url}
    seen: dict[str, str] = {}
    stop = asyncio.Event()
    with running_stack(data_dir, environment=environment) as stack:
        async with asyncio.TaskGroup() as callers:
            for number in range(8):
                callers.create_task(_caller(stack, number, stop, seen))
            await asyncio.sleep(0.45)
            down = asyncio.create_task(asyncio.to_thread(stack.run, "down", timeout_seconds=60))
            await asyncio.sleep(0.45)
            stop.set()
            assert (await down).returncode == 0
    with running_stack(data_dir, environment=environment) as again:
        finished = set(provider.finished)

        def settled() -> bool:
            return finished <= {row["request_id"] for row in events(again)}

        await asyncio.to_thread(wait_until, settled, timeout_seconds=15, what="every finished request in the ledger")
        rows = await asyncio.to_thread(events, again)
    # the slow answers took 2 s and were in flight when the stop came: they were finished, not cut
    assert set(seen.values()) <= {"ok", "draining", "connection"}, Counter(seen.values())
    assert {request_id for request_id, outcome in seen.items() if outcome == "ok"} <= finished
    assert not {name: n for name, n in Counter(row["request_id"] for row in rows).items() if n > 1}
    paid = [row for row in rows if row["state"] == "ok"]
    assert sum(row["usage"]["input_total"] for row in paid) == PROMPT_TOKENS * len(finished)
    assert sum(row["usage"]["output_total"] for row in paid) == COMPLETION_TOKENS * len(finished)
