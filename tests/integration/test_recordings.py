"""Every recording of the OpenAI-compatible providers and of Ollama through the running product.

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
from client_requests import client_body, kind_of
from fidelity import chat_differences, embeddings_differences, models_differences, stream_violations
from independent_costs import Rates, independent_cost, read_rates
from ledger import Json, events, total

from llm_manager.testing.recordings import Recording, load, replay_server, why_absent
from llm_manager.testing.stack import Stack, running_stack, wait_until
from llm_manager.testing.steering import SteeringProxy

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

PROVIDERS = ("openai", "groq", "mistral", "together", "openai_compatible", "ollama")
MODES = ("whole", "event", "bytes:7")
_BASE_URLS = {
    "OPENAI": "openai/v1",
    "GROQ": "groq/openai/v1",
    "MISTRAL": "mistral/v1",
    "TOGETHER": "together/v1",
    "OPENROUTER": "openai_compatible/v1",
    "DEEPSEEK": "openai_compatible/v1",
    "CUSTOM": "openai_compatible/v1",
    "OLLAMA": "ollama",
}


@dataclass(frozen=True)
class Played:
    """One recording, played in one mode; `problems` is empty when the answer was right."""

    recording: Recording
    mode: str
    request_id: str
    problems: list[str]


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
        environment = {f"{name}_BASE_URL": f"{proxy.base_url}/{path}" for name, path in _BASE_URLS.items()}
        environment |= {f"{name}_API_KEY": "sk-replayed" for name in _BASE_URLS}
        stack = parts.enter_context(running_stack(tmp_path_factory.mktemp("run"), environment=environment))
        headers = {"authorization": f"Bearer {stack.api_key}"}
        client = await parts.enter_async_context(
            httpx2.AsyncClient(base_url=stack.base_url, headers=headers, timeout=30)
        )
        played = [
            await _play(client, proxy, recording, mode)
            for mode in MODES
            for recording in load(providers=PROVIDERS)
            # what is not a stream is the same in every mode
            if recording.is_stream or mode == MODES[0]
        ]
        yield Run(stack, played)


async def _play(client: httpx2.AsyncClient, proxy: SteeringProxy, recording: Recording, mode: str) -> Played:
    proxy.recording, proxy.mode = recording.id, mode
    request_id = f"{recording.id}.{mode}"
    headers = {"x-request-id": request_id}
    if recording.operation == "models":
        answer = await client.get("/models", headers=headers, params={"refresh": "true"})
        problems = models_differences(recording, answer.status_code, answer.content, provider=kind_of(recording))
        return Played(recording, mode, request_id, problems)
    path, differences = _OPERATIONS[recording.operation]
    answer = await client.post(path, headers=headers, json=client_body(recording))
    problems = differences(recording, answer.status_code, answer.content)
    if answer.headers["content-type"].startswith("text/event-stream"):
        problems = problems + stream_violations(answer.content)
    return Played(recording, mode, request_id, problems)


_OPERATIONS: dict[str, tuple[str, Callable[[Recording, int, bytes], list[str]]]] = {
    "chat": ("/chat/completions", chat_differences),
    "embeddings": ("/embeddings", embeddings_differences),
}


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


@pytest.fixture(scope="module")
async def rows(run: Run) -> dict[str, Json]:
    """The ledger's rows by request id, once all have arrived."""
    wanted = {played.request_id for played in run.played if played.recording.operation != "models"}
    found: dict[str, Json] = {}

    def arrived() -> bool:
        found.update({row["request_id"]: row for row in events(run.stack)})
        return wanted <= found.keys()

    wait_until(arrived, timeout_seconds=30, what="a ledger row for every request", every_seconds=0.3)
    return found


@pytest.mark.requirement("L-1", "L-8", "T-3")
async def test_ledger_holds_the_expected_usage_of_every_recording(run: Run, rows: dict[str, Json]) -> None:
    wrong: dict[str, str] = {}
    for played in run.played:
        expected = played.recording.expected
        if (
            played.recording.operation == "models"
            or expected.get("input_tokens_total", expected.get("input_tokens")) is None
        ):
            continue
        usage = rows[played.request_id]["usage"]
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
        if played.recording.operation == "models":
            continue
        row = rows[played.request_id]
        kind, model = kind_of(played.recording), client_body(played.recording)["model"].partition("/")[2]
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
