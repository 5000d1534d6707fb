"""Every recorded chat, asked for by clients of every dialect: the same text, tool calls and counts, whoever asks.

The replay server is told which recording to answer, so that one plain question serves for all; what requests become
on their way is the matter of the dialects' own tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from chats_only import write_chats_only
from client_requests import kind_of
from clients import CLIENTS, Client
from fidelity import cross_differences, stream_violations
from fidelity_results import keep
from test_recordings import base_urls

from llm_manager.testing.recordings import Recording, load, replay_server, why_absent
from llm_manager.testing.stack import running_stack
from llm_manager.testing.steering import SteeringProxy

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
PROVIDERS = ("openai", "anthropic", "gemini", "groq", "mistral", "cohere", "together", "openai_compatible", "ollama")
CHATS_ONLY = ("openai", "groq", "openrouter", "deepseek", "custom", "azure", "xai", "perplexity", "llamacpp")
Problems = dict[str, list[str]]


@pytest.fixture(scope="module")
async def problems(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[tuple[str, str], Problems]]:
    """What was wrong, by client and provider, for each recording; an empty list where nothing was."""
    async with AsyncExitStack() as parts:
        server = parts.enter_context(replay_server(chunks="whole", parts=("open",)))
        proxy = SteeringProxy({"whole": f"http://127.0.0.1:{server.port}"})
        await parts.enter_async_context(proxy.running())
        environment = base_urls(proxy.base_url)
        folder = tmp_path_factory.mktemp("cross")
        # what was recorded are chats, so clients of the Responses API must not go past them
        write_chats_only(folder, CHATS_ONLY)
        stack = parts.enter_context(running_stack(folder, environment=environment))
        headers = {"authorization": f"Bearer {stack.api_key}"}
        client = await parts.enter_async_context(httpx2.AsyncClient(base_url=stack.origin, headers=headers, timeout=30))
        found: dict[tuple[str, str], Problems] = {}
        for recording in load(providers=PROVIDERS, operations=("chat",)):
            if recording.wire == "cohere.chat.v1":
                continue
            for name, dialect in CLIENTS.items():
                different = await _ask(client, proxy, recording, dialect)
                found.setdefault((name, recording.provider), {})[recording.id] = different
        keep(
            "cross",
            (
                (name, provider, "chat", recording, problems)
                for (name, provider), recordings in found.items()
                for recording, problems in recordings.items()
            ),
        )
        yield found


async def _ask(client: httpx2.AsyncClient, proxy: SteeringProxy, recording: Recording, dialect: Client) -> list[str]:
    proxy.recording = recording.id
    model = f"{kind_of(recording)}/{_model_of(recording)}"
    path, body = dialect.path(model, recording.is_stream), dialect.body(model, recording.is_stream)
    answer = await client.post(path, json=body)
    different = cross_differences(recording, dialect, answer.status_code, answer.content)
    if dialect.wire == "openai.chat" and answer.headers["content-type"].startswith("text/event-stream"):
        different = different + stream_violations(answer.content)
    return different


def _model_of(recording: Recording) -> str:
    asked: dict[str, Any] = recording.request or {}
    return asked.get("model") or "some-model"


@pytest.mark.requirement("B8", "L-29", "P-1", "P-5", "P-7")
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", sorted(CLIENTS))
async def test_every_client_reads_what_the_provider_said(
    problems: dict[tuple[str, str], Problems], client: str, provider: str
) -> None:
    mine = problems[client, provider]
    wrong = {name: lines for name, lines in mine.items() if lines}
    assert mine
    assert not wrong, f"{len(wrong)} of {len(mine)}\n" + "\n".join(f"{name}: {lines}" for name, lines in wrong.items())
