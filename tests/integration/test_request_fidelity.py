"""What a client of OpenAI asks reaches providers of every dialect whole, in their words; or is refused by name."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from aiohttp import web
from request_goldens import Answers, Golden, Json, answers_of, dialects, differences, goldens_of

from llm_manager.testing.stack import running_stack

_REFUSALS = ("unsupported_parameter", "invalid_request")


@dataclass
class Providers:
    """One server for all of them, which keeps what it was asked."""

    answers: Answers
    received: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def answer(self, request: web.Request) -> web.Response:
        """Keep what came, and say what the dialect's file says."""
        body: Json = await request.json()
        self.received.append((request.path_qs, body))
        if body.get("stream") or "streamGenerateContent" in request.path:
            return web.Response(text=self.answers.stream, content_type="text/event-stream")
        return web.json_response(self.answers.whole)


@dataclass(frozen=True)
class Asked:
    providers: Providers
    client: httpx2.AsyncClient
    data_dir: Path


@pytest.fixture(scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    providers = Providers(answers_of(dialects()[0]))
    application = web.Application(client_max_size=2**24)
    application.router.add_post("/{tail:.*}", providers.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    environment: dict[str, str] = {}
    for dialect in dialects():
        kind = goldens_of(dialect)[0].kind.upper()
        environment |= {f"{kind}_API_KEY": "k-test", f"{kind}_BASE_URL": address}
    environment["LLM_MANAGER_GATEWAY_PROBE_PROVIDERS"] = "false"
    async with AsyncExitStack() as parts:
        parts.push_async_callback(runner.cleanup)
        stack = parts.enter_context(running_stack(tmp_path_factory.mktemp("fidelity"), environment=environment))
        headers = {"authorization": f"Bearer {stack.api_key}"}
        client = await parts.enter_async_context(
            httpx2.AsyncClient(base_url=stack.base_url, headers=headers, timeout=30)
        )
        yield Asked(providers, client, stack.data_dir)


def every_golden() -> list[object]:
    """Return the cases of all dialects, named."""
    found = [golden for dialect in dialects() for golden in goldens_of(dialect)]
    return [pytest.param(golden, id=f"{golden.dialect}-{golden.name}") for golden in found]


@pytest.mark.requirement("B-14", "B-15", "P-18")
@pytest.mark.parametrize("golden", every_golden())
async def test_request_arrives_whole_or_is_refused_by_name(golden: Golden, asked: Asked) -> None:
    asked.providers.received.clear()
    asked.providers.answers = answers_of(golden.dialect)
    body = {**golden.request, "model": f"{golden.kind}/{golden.model}"}
    answer = await asked.client.post("/chat/completions", json=body)
    received = asked.providers.received
    if golden.body is None:
        assert received == []
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, golden.refused), error
        assert error["code"] in _REFUSALS, error
        return
    assert answer.status_code == 200, answer.text
    ((path, sent),) = received
    assert path == golden.path
    wrong = differences(golden.body, sent)
    assert not wrong, "\n".join([*wrong, json.dumps(sent, ensure_ascii=False)])
    warning = answer.headers.get("x-llm-manager-warning", "")
    assert all(part in warning for part in golden.warned), warning
    assert bool(golden.warned) is bool(warning), warning
    dropped = answer.headers.get("x-llm-manager-dropped", "").split(", ")
    assert [f"left out {name}" in warning for name in dropped if name] == [True] * warning.count("left out ")


def test_there_are_about_sixty_requests_for_each_dialect() -> None:
    assert {name: len(goldens_of(name)) for name in dialects() if len(goldens_of(name)) < 60} == {}


@pytest.mark.requirement("S15")
async def test_what_a_model_cannot_hold_is_refused_before_its_provider_is_asked(asked: Asked) -> None:
    asked.providers.received.clear()
    # claude-haiku-4-5 takes 200,000 tokens, and no prose has more than six characters a token
    prompt = "hello " * 210_000
    body = {"model": "anthropic/claude-haiku-4-5", "messages": [{"role": "user", "content": prompt}]}
    answer = await asked.client.post("/chat/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages"), error
    form = {"configuration": "anthropic/claude-haiku-4-5", "prompt": prompt}
    platform = str(asked.client.base_url).replace("/v1/", "/api/v1/generate")
    answer = await asked.client.post(platform, json=form)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "context_length_exceeded")
    too_much = {**body, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 64_001}
    answer = await asked.client.post("/chat/completions", json=too_much)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "max_tokens"), error
    assert asked.providers.received == []


@pytest.mark.requirement("B-14", "P-18")
async def test_a_configuration_may_leave_out_what_its_provider_does_not_take(asked: Asked) -> None:
    asked.providers.answers = answers_of("anthropic_messages")
    with sqlite3.connect(asked.data_dir / "control-plane.db", timeout=10) as database:
        database.execute(
            "INSERT INTO configurations (id, revision, is_enabled, managed_by, created_at, updated_at, name,"
            " provider_id, upstream_model, tags, adapts_parameters)"
            " SELECT 'c-adapting', 1, 1, 'admin', created_at, updated_at, 'adapting', id, 'claude-sonnet-4-5', '{}', 1"
            " FROM providers WHERE name = 'anthropic'"
        )
    body = {"model": "adapting", "messages": [{"role": "user", "content": "go"}], "seed": 7, "temperature": 1.5}
    # the gateway looks into its database every 30 seconds
    for _ in range(150):
        if (await asked.client.get("/models/adapting")).status_code != 404:
            break
        await asyncio.sleep(0.4)
    asked.providers.received.clear()
    answer = await asked.client.post("/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    ((_, sent),) = asked.providers.received
    assert ("seed" in sent, sent["temperature"]) == (False, 1.0)
    assert answer.headers["x-llm-manager-dropped"] == "seed"
    assert answer.headers["x-llm-manager-warning"] == "left out seed; temperature set to 1.0"
    refused = await asked.client.post("/chat/completions", json={**body, "model": "anthropic/claude-sonnet-4-5"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "seed")
