"""Servers on one's own machine: each kind answers behind its variable, and what it answers is known to cost nothing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal

import httpx2
import pytest
from ledger import events_of

from llm_manager.testing.plausible_provider import PlausibleProvider, plausible_provider
from llm_manager.testing.stack import Stack, running_stack

KINDS = ("vllm", "llamacpp", "lmstudio")


@dataclass(frozen=True)
class Local:
    stack: Stack
    server: PlausibleProvider


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Generator[Local]:
    with plausible_provider() as server:
        environment = {f"{kind.upper()}_BASE_URL": server.base_url for kind in KINDS}
        with running_stack(tmp_path_factory.mktemp("local-kinds"), environment=environment) as stack:
            yield Local(stack, server)


def ask(local: Local, kind: str, *, is_stream: bool) -> str:
    """Ask a question and return the request's id."""
    request_id = f"local-{kind}-{'stream' if is_stream else 'whole'}"
    headers = {"authorization": f"Bearer {local.stack.api_key}", "x-request-id": request_id}
    body = {"model": f"{kind}/plausible", "messages": [{"role": "user", "content": "Hello"}], "stream": is_stream}
    answer = httpx2.post(f"{local.stack.base_url}/chat/completions", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    assert '"content":"' in answer.text.replace(" ", "")
    return request_id


@pytest.mark.requirement("S21")
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_ones_own_answers_and_its_row_costs_exactly_nothing(
    local: Local, kind: str, is_stream: bool
) -> None:
    (row,) = events_of(local.stack, ask(local, kind, is_stream=is_stream))

    assert (row["provider"], row["upstream_model"]) == (kind, "plausible")
    assert (row["cost_state"], Decimal(row["cost_usd"])) == ("priced", Decimal(0))
    assert row["usage"]["input_total"] > 0
    assert row["usage"]["output_total"] > 0


def test_its_models_are_listed_under_its_name(local: Local) -> None:
    headers = {"authorization": f"Bearer {local.stack.api_key}"}
    answer = httpx2.get(f"{local.stack.base_url}/models", headers=headers, timeout=30)

    assert {f"{kind}/plausible" for kind in KINDS} <= {model["id"] for model in answer.json()["data"]}


@pytest.mark.requirement("P-18")
def test_json_without_a_schema_is_refused_for_lm_studio_before_it_is_asked(local: Local) -> None:
    asked = len(local.server.requests)
    headers = {"authorization": f"Bearer {local.stack.api_key}"}
    body = {
        "model": "lmstudio/plausible",
        "messages": [{"role": "user", "content": "Say it in JSON, and only this once."}],
        "response_format": {"type": "json_object"},
    }
    answer = httpx2.post(f"{local.stack.base_url}/chat/completions", json=body, headers=headers, timeout=30)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert not any("only this once" in str(request) for request in local.server.requests[asked:])
