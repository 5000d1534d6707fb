"""Every open recording through the running product, asked in the dialect that it was recorded in.

HTTP in, NATS, worker, HTTP to the replay server, and back. Each request carries the recording's name as its request id,
so that the ledger can be held against what the recordings expect, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from client_requests import kind_of
from fidelity import (
    chat_differences,
    embeddings_differences,
    models_differences,
    own_differences,
    stream_violations,
)
from fidelity_results import keep
from fields import field_differences, header_differences
from independent_costs import Rates, independent_cost, read_rates
from ledger import Json, events, total
from own_dialect import own_request, why_not_served

from llm_manager.testing.recordings import Recording, load, replay_server, why_absent
from llm_manager.testing.stack import Stack, running_stack, wait_until
from llm_manager.testing.steering import SteeringProxy

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

PROVIDERS = (*("openai", "anthropic", "gemini", "groq", "mistral", "cohere", "together", "openai_compatible"),)
# What their providers report cannot be, or is not whole, so we estimate and say so.
ESTIMATED = {
    "openai-responses-3e8370c677": "output_tokens is -9",
    "gemini-chat-3c694e2e44": "an answer of 186 characters, and no candidatesTokenCount",
}
OPERATIONS = ("chat", "responses", "completions", "generate", "embeddings", "rerank", "count_tokens", "models")
MODES = ("whole", "event", "bytes:7", "real")
OWN = "own dialect"
# Of these nobody is charged, so they have no row in the ledger.
FREE = ("models", "count_tokens")
_BASE_URLS = {
    "OPENAI": "openai/v1",
    "ANTHROPIC": "anthropic",
    "GEMINI": "gemini",
    "GROQ": "groq/openai/v1",
    "MISTRAL": "mistral/v1",
    "COHERE": "cohere",
    "TOGETHER": "together/v1",
    "OPENROUTER": "openai_compatible/v1",
    "DEEPSEEK": "openai_compatible/v1",
    "CUSTOM": "openai_compatible/v1",
    "XAI": "openai_compatible/v1",
    "PERPLEXITY": "openai_compatible/v1",
    "CEREBRAS": "openai_compatible/v1",
    "LLAMACPP": "openai_compatible/v1",
    "OLLAMA": "ollama",
}
# How the reader sees the answers of these wires at our edge, where the words of all providers are OpenAI's.
_AS_OPENAI: dict[str, Callable[[Recording, int, bytes], list[str]]] = {
    "openai.chat": chat_differences,
    "openai.embeddings": embeddings_differences,
    "mistral.embeddings": embeddings_differences,
    "openai_compatible.embeddings": embeddings_differences,
}


def base_urls(origin: str) -> dict[str, str]:
    """Variables that point every provider at the replay server behind `origin`."""
    urls = {f"{name}_BASE_URL": f"{origin}/{path}" for name, path in _BASE_URLS.items()}
    keys = {f"{name}_API_KEY": "sk-replayed" for name in _BASE_URLS}
    # what the replay server says to questions of its own depends on what was played before
    return urls | keys | {"LLM_MANAGER_GATEWAY_PROBE_PROVIDERS": "false"}


@dataclass(frozen=True)
class Played:
    """One recording, played in one mode; `problems` is empty when the answer was right.

    Args:
        is_booked: a provider was asked, so the ledger has a row.
    """

    recording: Recording
    mode: str
    request_id: str
    problems: list[str]
    is_booked: bool = True


@dataclass(frozen=True)
class Run:
    """Everything that was played, and the product that played it."""

    stack: Stack
    played: list[Played]


@pytest.fixture(scope="module")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    async with AsyncExitStack() as parts:
        replayers = {mode: parts.enter_context(replay_server(chunks=mode, parts=("open",))) for mode in MODES}
        proxy = SteeringProxy({mode: f"http://127.0.0.1:{server.port}" for mode, server in replayers.items()})
        await parts.enter_async_context(proxy.running())
        environment = base_urls(proxy.base_url)
        stack = parts.enter_context(running_stack(tmp_path_factory.mktemp("run"), environment=environment))
        headers = {"authorization": f"Bearer {stack.api_key}"}
        client = await parts.enter_async_context(httpx2.AsyncClient(base_url=stack.origin, headers=headers, timeout=30))
        played = [
            await _play(client, proxy, recording, mode)
            for mode in MODES
            for recording in load(providers=PROVIDERS, operations=OPERATIONS)
            # what is not a stream is the same in every mode
            if not why_not_served(recording) and (recording.is_stream or mode == MODES[0])
        ]
        keep("own", ((OWN, p.recording.provider, p.recording.operation, p.recording.id, p.problems) for p in played))
        yield Run(stack, played)


async def _play(client: httpx2.AsyncClient, proxy: SteeringProxy, recording: Recording, mode: str) -> Played:
    proxy.recording, proxy.mode = recording.id, mode
    request_id = f"{recording.id}.{mode}"
    asked = own_request(recording)
    headers = {"x-request-id": request_id, **asked.headers}
    answer = await client.request(asked.method, asked.path, headers=headers, params=asked.params, json=asked.body)
    if recording.operation == "models":
        problems = models_differences(recording, answer.status_code, answer.content, provider=kind_of(recording))
        return Played(recording, mode, request_id, problems, is_booked=False)
    problems = _AS_OPENAI.get(recording.wire, own_differences)(recording, answer.status_code, answer.content)
    if recording.wire == "openai.chat" and answer.headers["content-type"].startswith("text/event-stream"):
        problems = problems + stream_violations(answer.content)
    if recording.wire == "openai.chat":
        problems = problems + field_differences(recording, answer.status_code, answer.content)
    is_refused = answer.status_code == 400 and b'"unsupported_parameter"' in answer.content
    if not is_refused:
        problems = problems + header_differences(recording, answer.headers, kind=kind_of(recording))
    return Played(recording, mode, request_id, problems, is_booked=not is_refused)


@pytest.mark.requirement("L-1", "L-5", "L-29", "L-30", "P-2", "P-3", "P-4", "P-9", "B-10")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_recording_comes_back_as_it_is_expected(
    run: Run, provider: str, record_property: Callable[[str, object], None]
) -> None:
    mine = [played for played in run.played if played.recording.provider == provider]
    wrong = {played.request_id: played.problems for played in mine if played.problems}
    record_property("passed", f"{len(mine) - len(wrong)} of {len(mine)}")
    assert mine
    assert not wrong, "\n".join(f"{name}: {problems}" for name, problems in wrong.items())


def is_booked(played: Played) -> bool:
    """Whether the ledger has a row: a provider was asked for something that costs."""
    return played.is_booked and played.recording.operation not in FREE


@pytest.fixture(scope="module")
async def rows(run: Run) -> dict[str, Json]:
    """The ledger's rows by request id, once all have arrived."""
    wanted = {played.request_id for played in run.played if is_booked(played)}
    found: dict[str, Json] = {}

    def arrived() -> bool:
        found.update({row["request_id"]: row for row in events(run.stack)})
        return wanted <= found.keys()

    wait_until(arrived, timeout_seconds=30, what="a ledger row for every request", every_seconds=0.3)
    return found


@pytest.mark.requirement("L-1", "L-8", "T-3", "S97")
async def test_ledger_holds_the_expected_usage_of_every_recording(run: Run, rows: dict[str, Json]) -> None:
    wrong: dict[str, str] = {}
    for played in run.played:
        expected = played.recording.expected
        if not is_booked(played) or expected.get("input_tokens_total", expected.get("input_tokens")) is None:
            continue
        usage = rows[played.request_id]["usage"]
        if played.recording.id in ESTIMATED:
            if rows[played.request_id]["usage_source"] != "estimated":
                wrong[played.request_id] = "not marked as an estimate"
            continue
        wanted = (
            expected.get("input_tokens_total", expected["input_tokens"]),
            expected.get("output_tokens_total") or 0,
            expected.get("cached_input_tokens") or 0,
        )
        counted = (usage["input_total"], usage["output_total"], usage["cache_read"])
        if counted != wanted:
            wrong[played.request_id] = f"{counted} instead of {wanted}"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


@pytest.mark.requirement("L-1", "L-2", "L-3")
async def test_cost_of_every_row_equals_an_independent_calculation(run: Run, rows: dict[str, Json]) -> None:
    rates: Rates = read_rates(Path(__file__).parents[2] / "services/usage/src/llm_manager/usage/prices/data")
    wrong: dict[str, str] = {}
    for played in run.played:
        if not is_booked(played):
            continue
        row = rows[played.request_id]
        kind, model = kind_of(played.recording), row["upstream_model"]
        wanted = independent_cost(rates, kind, model, row, played.recording)
        if (None if row["cost_usd"] is None else Decimal(row["cost_usd"])) != wanted:
            wrong[played.request_id] = f"{row['cost_usd']} instead of {wanted}"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert Counter(row["cost_state"] for row in rows.values())["priced"] > 100


@pytest.mark.requirement("L-3", "S101")
async def test_total_equals_the_sum_of_the_rows(run: Run, rows: dict[str, Json]) -> None:
    said = total(run.stack)
    assert said["attempts"] == len(rows)
    assert Decimal(said["cost_usd"]) == sum(Decimal(row["cost_usd"]) for row in rows.values() if row["cost_usd"])
    for bucket in ("input_total", "output_total", "cache_read"):
        assert said["usage"][bucket] == sum(row["usage"][bucket] for row in rows.values())
