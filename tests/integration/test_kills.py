"""kill -9 of every process, and of pairs, under mixed load: nothing hangs, nothing is lost, nothing is doubled.

`make test-kills` strikes for 200 s; LLM_MANAGER_TEST_KILLS_SECONDS and LLM_MANAGER_TEST_KILLS_SEED choose otherwise.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from counting_provider import CountingProvider
from disturbances import Disturbance, disturb
from ledger import Json, events, total
from mixed_load import KINDS, Call, Load
from settlement import Settlement

from llm_manager.testing.stack import Stack, running_stack, wait_until

_SECONDS = float(os.environ.get("LLM_MANAGER_TEST_KILLS_SECONDS", "60"))
_SEED = int(os.environ.get("LLM_MANAGER_TEST_KILLS_SEED", "1"))
# before the first blow and after the last one, so that every kind of call also runs undisturbed
_CALM_SECONDS = 5.0
_TIMEOUT_SECONDS, _RECONCILE_SECONDS, _GRACE_SECONDS = 15, 1, 3
# An attempt that nobody lived to record gets its row so long after it began: the provider's books may not know it, so
# that nothing but time says that none is missing. The last ones are a look, and a rest of the ledger's consumer.
_LATEST_ROW_SECONDS = _TIMEOUT_SECONDS + _GRACE_SECONDS + 2 * _RECONCILE_SECONDS + 3


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port that is taken, but where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def stack(provider: CountingProvider, closed_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The product, with short times for requests and for looking for those that nobody recorded."""
    environment = {
        "OPENAI_API_KEY": "sk-counting-provider",
        "OPENAI_BASE_URL": provider.base_url,
        "GROQ_API_KEY": "gsk-nobody-there",
        "GROQ_BASE_URL": f"http://127.0.0.1:{closed_port}/v1",
        "LLM_MANAGER_GATEWAY_REQUEST_TIMEOUT_SECONDS": str(_TIMEOUT_SECONDS),
        "LLM_MANAGER_USAGE_RECONCILE_SECONDS": str(_RECONCILE_SECONDS),
        "LLM_MANAGER_USAGE_RECONCILE_GRACE_SECONDS": str(_GRACE_SECONDS),
    }
    with running_stack(tmp_path_factory.mktemp("kills"), environment=environment) as running:
        yield running


def _settled_rows(stack: Stack, provider: CountingProvider, calls: Sequence[Call]) -> list[Json]:
    """Return all rows, once all that the provider knows is among them and nothing can come any more."""
    rows: list[Json] = []
    latest = max(call.began_at for call in calls) + _LATEST_ROW_SECONDS

    def is_settled() -> bool:
        before = list(rows)
        rows[:] = events(stack)
        return (
            time.monotonic() > latest and rows == before and set(provider.books) <= {row["request_id"] for row in rows}
        )

    with suppress(AssertionError):  # the settlement names what did not come
        wait_until(is_settled, timeout_seconds=150, what="all of the provider's books in the ledger", every_seconds=2)
    return rows


def _table(load: Load, disturbances: list[Disturbance], rows: list[Json]) -> str:
    lines = [f"{'blow':36} {'replaced after':>15} {'answered after':>15}"]
    for one in disturbances:
        replaced, answered = one.replaced_at - one.began_at, one.answered_at - one.began_at
        lines.append(f"{one.blow!s:36} {replaced:13.1f} s {answered:13.1f} s")
    for name in KINDS:
        outcomes = Counter(call.outcome for call in load.calls if call.kind == name)
        lines.append(f"{name:24} " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    longest = max(load.calls, key=lambda call: call.ended_at - call.began_at)
    lines.append(f"{len(load.calls)} calls; the longest ({longest.kind}) {longest.ended_at - longest.began_at:.1f} s")
    wrote = Counter(f"{row['state']} by {row['recorder']}" for row in rows)
    lines.append(f"{len(rows)} rows: " + ", ".join(f"{count} {what}" for what, count in wrote.most_common()))
    return "\n".join(lines)


@pytest.mark.requirement("L-4", "L-17", "T-3")
async def test_kills_under_mixed_load_lose_double_and_hang_nothing(stack: Stack, provider: CountingProvider) -> None:
    load = Load(stack, _SEED)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await asyncio.sleep(_CALM_SECONDS)
        disturbances = await disturb(stack, seed=_SEED, seconds=_SECONDS)
        await asyncio.sleep(_CALM_SECONDS)
        load.stop.set()
    rows = await asyncio.to_thread(_settled_rows, stack, provider, load.calls)
    print(f"\nseed {_SEED}\n{_table(load, disturbances, rows)}")  # noqa: T201 (figures to see with -s)

    settlement = Settlement(load.calls, provider.books, rows, await asyncio.to_thread(total, stack), disturbances)
    faults = settlement.faults()
    assert not faults, "\n".join(faults)
    quiet = Counter(call.kind for call in load.calls if settlement.is_undisturbed(call))
    assert set(quiet) == set(KINDS), "some kind of call never ran undisturbed"
