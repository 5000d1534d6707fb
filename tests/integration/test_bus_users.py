"""Under `up` every service has a user of NATS of its own, may do all of its work, and is refused what is not."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.names import BUCKET_CONFIG
from llm_manager.testing.stack import Stack, running_stack, wait_until

SERVICES = ("gateway", "providers", "usage")
# the reconciler looks every second, so that its way over the bus is a part of the run
ENVIRONMENT = {"LLM_MANAGER_USAGE_RECONCILE_SECONDS": "1", "LLM_MANAGER_USAGE_RECONCILE_GRACE_SECONDS": "0"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("users"), environment=ENVIRONMENT) as running:
        yield running


def work(stack: Stack) -> None:
    """What brings every subject of the services into use: calls, large ones, one that is left, a new provider."""
    body = {"model": "echo/echo", "messages": [{"role": "user", "content": "one two three"}]}
    large = {"model": "echo/echo", "messages": [{"role": "user", "content": "x" * 2_000_000}]}
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx2.Client(base_url=stack.base_url, headers=headers, timeout=30) as client:
        for asked in (body, large, {**body, "stream": True}):
            answer = client.post("/chat/completions", json=asked)
            assert answer.status_code == 200, answer.text
        assert client.get("/models").status_code == 200
        with client.stream("POST", "/chat/completions", json={**large, "stream": True}) as left:
            next(left.iter_bytes())
    provider = {"name": "mine", "kind": "custom", "base_url": "http://127.0.0.1:9/v1"}
    made = httpx2.post(f"{stack.origin}/api/v1/providers", auth=stack.admin, json=provider, timeout=30)
    assert made.status_code == 201, made.text


def refusals(stack: Stack) -> list[str]:
    logs = [stack.log_of(name) for name in (*SERVICES, "nats")]
    return [line for log in logs for line in log.splitlines() if "bus_not_permitted" in line or "Violation" in line]


def test_the_services_do_all_of_their_work_and_are_refused_nothing(stack: Stack) -> None:
    work(stack)
    by_model = ("usage", "top", "--by", "model")
    wait_until(lambda: "echo" in stack.run(*by_model).stdout, timeout_seconds=15, what="a row of the ledger")
    before = {service: stack.kill(service) for service in SERVICES}

    def is_back() -> bool:
        status = stack.status()
        return bool(status["is_ready"]) and not any(status["pids"].get(name) == pid for name, pid in before.items())

    wait_until(is_back, timeout_seconds=60, what="the restart")
    wait_until(lambda: _answers(stack), timeout_seconds=30, what="an answer after the restarts")
    time.sleep(2.0)  # some looks of the reconciler
    assert refusals(stack) == []


def _answers(stack: Stack) -> bool:
    answer = httpx2.post(
        f"{stack.base_url}/chat/completions",
        headers={"authorization": f"Bearer {stack.api_key}"},
        json={"model": "echo/echo", "messages": [{"role": "user", "content": "x"}]},
        timeout=30,
    )
    return answer.status_code == 200


async def test_who_takes_a_worker_over_changes_no_catalogue_and_nobody_comes_in_without_a_password(
    stack: Stack,
) -> None:
    url = stack.status()["nats"]
    password = (stack.data_dir / "secrets" / "nats-providers").read_text().strip()
    async with connect(url, name="test", user="providers", token=password) as bus:
        with pytest.raises(BusUnavailable, match="may not publish"):
            await kv.put(bus, BUCKET_CONFIG, "provider.echo", b"{}")
    with pytest.raises(BusUnavailable, match="refused the user 'gateway'"):
        async with connect(url, name="test", user="gateway", token=password):
            pass
    with pytest.raises(BusUnavailable, match="refused the token"):
        async with connect(url, name="test"):
            pass


def test_the_passwords_are_read_by_their_owner_only(stack: Stack) -> None:
    files: list[Path] = [stack.data_dir / "run" / "nats.conf", *(stack.data_dir / "secrets").glob("nats-*")]
    assert len(files) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
