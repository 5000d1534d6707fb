"""Adding an OpenAI-compatible provider is one TOML file: drop it into the data directory and start."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from fidelity import chat_differences, stream_violations

from llm_manager.testing.recordings import Recording, load, replay_server, why_absent
from llm_manager.testing.stack import Stack, running_stack
from llm_manager.testing.steering import SteeringProxy

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

FACTS = """
kind = "acme"
title = "Acme Inference"
source = ["https://acme.example/docs"]
checked_on = 2026-11-24
dialect = "openai_chat"
base_url = "{base_url}"
needs_credential = false
base_url_env = "ACME_BASE_URL"
operations = ["chat", "embeddings", "models"]
capabilities = ["streaming", "tools", "parallel_tools", "json_object", "json_schema", "images"]
models = ["acme-large"]

[parameters]
extension = ["seed", "user", "service_tier"]
reasoning_input = "reasoning_content"

[finish_reasons]
stop = "stop"
length = "length"
tool_calls = "tool_calls"
content_filter = "content_filter"
error = "error"

[usage]
reports = ["usage", "x_groq.usage"]
cache_read = ["prompt_tokens_details.cached_tokens"]
reasoning = ["completion_tokens_details.reasoning_tokens"]
"""


@dataclass(frozen=True)
class Acme:
    stack: Stack
    proxy: SteeringProxy
    client: httpx2.AsyncClient


@pytest.fixture(scope="module")
async def acme(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Acme]:
    folder = tmp_path_factory.mktemp("own-kind")
    async with AsyncExitStack() as parts:
        server = parts.enter_context(replay_server(chunks="bytes:7", parts=("open",)))
        proxy = await parts.enter_async_context(SteeringProxy({"whole": f"http://127.0.0.1:{server.port}"}).running())
        base_url = f"{proxy.base_url}/groq/openai/v1"
        facts = folder / "provider_facts"
        facts.mkdir()
        (facts / "acme.toml").write_text(FACTS.format(base_url=base_url))
        environment = {"ACME_BASE_URL": base_url}
        stack = parts.enter_context(running_stack(folder, environment=environment))
        client = await parts.enter_async_context(
            httpx2.AsyncClient(
                base_url=stack.base_url, headers={"authorization": f"Bearer {stack.api_key}"}, timeout=30
            )
        )
        yield Acme(stack, proxy, client)


def recordings() -> list[Recording]:
    """Groq's whole and streamed chats: a provider whose quirks the few lines above do not know."""
    return [
        r for r in load(providers=("groq",), operations=("chat",)) if r.fidelity == "raw" and not r.expected["error"]
    ]


@pytest.mark.requirement("S20", "S24")
async def test_every_recorded_chat_passes_through_a_kind_that_is_one_file(acme: Acme) -> None:
    wrong: dict[str, list[str]] = {}
    played = recordings()
    for recording in played:
        acme.proxy.recording = recording.id
        body: dict[str, object] = {
            "model": "acme/any",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": recording.is_stream,
        }
        if recording.is_stream:
            body["stream_options"] = {"include_usage": True}
        answer = await acme.client.post("/chat/completions", json=body)
        problems = chat_differences(recording, answer.status_code, answer.content)
        if recording.is_stream:
            problems += stream_violations(answer.content)
        if problems:
            wrong[recording.id] = problems
    assert len(played) > 10
    assert not wrong, "\n".join(f"{name}: {problems}" for name, problems in wrong.items())


async def test_its_model_is_listed_and_what_it_lacks_is_refused(acme: Acme) -> None:
    listed = [model["id"] for model in (await acme.client.get("/models")).json()["data"]]
    assert "acme-large" in listed
    audio = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    body = {"model": "acme-large", "messages": [{"role": "user", "content": [audio]}]}
    answer = await acme.client.post("/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"


@pytest.mark.requirement("S30")
async def test_it_passes_the_suite_for_workers(acme: Acme) -> None:
    acme.proxy.recording = next(r.id for r in recordings() if r.is_stream and len(r.expected["text"]) > 200)
    program = Path(sys.executable).with_name("llm-manager-conformance")
    password = (acme.stack.data_dir / "secrets" / "nats-operator").read_text().strip()
    login = ["--nats-user", "operator", "--nats-token", password]
    url = acme.stack.status()["nats"]
    done = await asyncio.to_thread(
        subprocess.run,
        [str(program), "--kind", "acme", "--model", "any", "--nats-url", url, *login],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    passed = [line.removeprefix("passed  ") for line in done.stdout.splitlines() if line.startswith("passed")]
    # the replayed provider has no vectors and answers at once whatever is asked, so only these can be told from it
    assert "a streamed chat is answered piece by piece" in passed, done.stdout + done.stderr
    assert "what cannot be read is refused" in passed, done.stdout
    assert "what the worker cannot do is refused by name" in passed, done.stdout
