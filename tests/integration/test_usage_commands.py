"""Usage, prices and secrets of the whole product, as its owner meets them on one machine."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from counting_provider import MODEL_PLAIN, counting_provider
from ledger import events

from llm_manager.testing.stack import Stack, clean_environment, command, running_stack, wait_until

CANARY = "sk-of-the-custom-server-canary"
NOT_THERE = "no-such-model"
PRICES = """
kind = "custom"
checked_on = 2026-11-20
[[prices]]
models = ["gpt-4o-mini"]
valid_from = 2026-01-01
source = "our own machine: electricity"
usd_per_million = { input_uncached = "0.5", cache_read = "0.25", output_text = "1" }
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """A stack with a custom server, a price file of the owner, one answer and one failure."""
    folder = tmp_path_factory.mktemp("own-prices")
    prices = folder / "prices.toml"
    prices.write_text(PRICES)
    with counting_provider() as provider:
        environment = {
            "CUSTOM_BASE_URL": provider.base_url,
            "CUSTOM_API_KEY": CANARY,
            "LLM_MANAGER_USAGE_PRICE_FILES": str(prices),
            "LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS": "false",
            "LLM_MANAGER_GATEWAY_PROBE_PROVIDERS": "false",
        }
        with running_stack(folder / "data", environment=environment) as running:
            statuses = [_ask(running, model) for model in (MODEL_PLAIN, NOT_THERE)]
            assert (statuses[0], statuses[1] >= 400) == (200, True)
            wait_until(lambda: len(events(running)) == 2, timeout_seconds=60, what="both rows in the ledger")
            yield running


def _ask(stack: Stack, model: str) -> int:
    body = {"model": f"custom/{model}", "user": "u", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {stack.api_key}"}
    return httpx2.post(f"{stack.base_url}/chat/completions", json=body, headers=headers, timeout=60).status_code


def test_a_custom_provider_costs_what_the_owners_file_says(stack: Stack) -> None:
    rows = {row["upstream_model"]: row for row in events(stack)}
    # 60 tokens at 0.5, 40 from the cache at 0.25 and 20 at 1 USD a million
    assert (rows[MODEL_PLAIN]["cost_state"], rows[MODEL_PLAIN]["cost_usd"]) == ("priced", "0.000060000000")


def test_what_failed_can_be_read_with_the_name_of_its_app(stack: Stack) -> None:
    shown: dict[str, Any] = json.loads(stack.run("usage", "errors", "--json").stdout)
    [row] = shown["data"]
    named = (row["app_name"], row["provider"], row["upstream_model"], row["upstream_status"], row["recorder"])
    assert named == ("default", "custom", NOT_THERE, 404, "worker")
    line = stack.run("usage", "errors", "--from", "2026-01-01").stdout.splitlines()[1].split()
    assert line[2:] == [row["request_id"], "default", NOT_THERE, "custom", row["error_code"], "404"]
    by_app = stack.run("usage", "top", "--by", "app").stdout.splitlines()
    assert by_app[1].split()[:3] == ["default", "2", "1"]


def test_everything_that_a_running_stack_writes_is_its_owners_only(stack: Stack) -> None:
    modes = {path: path.lstat().st_mode for path in (stack.data_dir, *stack.data_dir.rglob("*"))}
    assert [str(path) for path, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)] == []


def test_of_the_services_only_the_gateway_has_the_key_of_a_provider_in_its_environment(stack: Stack) -> None:
    holders = {name for name, pid in stack.pids.items() if CANARY in psutil.Process(pid).environ().values()}
    # the supervisor has the shell's own environment, to hand the key to a gateway that it starts again
    assert holders == {"supervisor", "gateway"}


def test_a_wrong_price_file_ends_the_start_with_78_and_is_named(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES.replace('"0.5"', '"cheap"'))
    environ = clean_environment(
        {"LLM_MANAGER_DATA_DIR": str(tmp_path / "data"), "LLM_MANAGER_USAGE_PRICE_FILES": str(prices)}
    )
    up = subprocess.run(
        [*command(), "up", "--detach", "--port", "0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (up.returncode, "Traceback" in up.stderr) == (78, False), up.stderr
    assert "LLM_MANAGER_USAGE_PRICE_FILES: prices.toml: 'cheap' is no amount of USD" in up.stderr
