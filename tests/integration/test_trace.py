"""One trace of a call, from the edge over the bus and the worker to the provider and the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from counting_provider import COMPLETION_TOKENS, MODEL_PLAIN, PROMPT_TOKENS, CountingProvider

from llm_manager.testing.otlp import CollectedSpan, OtlpCollector, otlp_collector
from llm_manager.testing.stack import Stack, running_stack

PROMPT = "a-sentence-that-must-not-be-in-any-span"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SERVICES = ("gateway", "providers", "usage")


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    collector: OtlpCollector, provider: CountingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    environment = {f"LLM_MANAGER_{name.upper()}_OTLP_ENDPOINT": collector.endpoint for name in SERVICES}
    environment |= {"OPENAI_API_KEY": "sk-counting-provider", "OPENAI_BASE_URL": provider.base_url}
    with running_stack(tmp_path_factory.mktemp("traced"), environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def spans(traced: Stack, collector: OtlpCollector) -> dict[str, CollectedSpan]:
    """The spans of one streamed chat by name."""
    answer = httpx2.post(
        f"{traced.base_url}/chat/completions",
        headers={
            "authorization": f"Bearer {traced.api_key}",
            "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
        },
        json={
            "model": MODEL_PLAIN,
            "stream": True,
            "user": "traced",
            "messages": [{"role": "user", "content": PROMPT}],
        },
        timeout=20,
    )
    assert answer.status_code == 200
    wanted = {"INSERT usage.events", "POST /v1/chat/completions", f"chat {MODEL_PLAIN}", "process llm.v1.infer"}
    # every service exports in batches of its own, in any order
    collector.wait_for(
        lambda seen: wanted <= {span.name for span in seen if span.trace_id == TRACE_ID}, timeout_seconds=20
    )
    return {span.name: span for span in collector.trace(TRACE_ID)}


@pytest.mark.requirement("S208")
def test_one_trace_leads_from_the_edge_to_the_upstream_and_the_ledger(spans: dict[str, CollectedSpan]) -> None:
    way = [
        ("gateway", "POST /v1/chat/completions"),
        ("gateway", "send llm.v1.infer"),
        ("providers", "process llm.v1.infer"),
        ("providers", f"chat {MODEL_PLAIN}"),
    ]
    parent = "b7ad6b7169203331"
    for service, name in way:
        span = spans[name]
        assert span.service.endswith(service), name
        assert span.parent_id == parent, f"{name} does not follow the span before it"
        parent = span.span_id
    ids = {span.span_id for span in spans.values()}
    ledger = spans["INSERT usage.events"]
    assert ledger.service.endswith("usage")
    assert ledger.parent_id in ids


@pytest.mark.requirement("S208")
def test_span_of_the_upstream_call_carries_the_genai_attributes(spans: dict[str, CollectedSpan]) -> None:
    attributes = spans[f"chat {MODEL_PLAIN}"].attributes
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL_PLAIN,
        "gen_ai.response.model": MODEL_PLAIN,
        "gen_ai.usage.input_tokens": PROMPT_TOKENS,
        "gen_ai.usage.output_tokens": COMPLETION_TOKENS,
    }
    assert {name: attributes.get(name) for name in wanted} == wanted
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]


def test_no_prompt_and_no_key_is_in_what_was_exported(
    spans: dict[str, CollectedSpan], traced: Stack, collector: OtlpCollector
) -> None:
    assert spans
    exported = b"".join(collector.bodies)
    for secret in (PROMPT, traced.api_key, "sk-counting-provider"):
        assert secret.encode() not in exported
    logs = "".join(path.read_text(errors="replace") for path in Path(traced.data_dir, "logs").iterdir())
    for secret in (PROMPT, traced.api_key, "sk-counting-provider", traced.admin[1]):
        assert secret not in logs


def test_metrics_of_each_service_count_the_call(spans: dict[str, CollectedSpan], traced: Stack) -> None:
    assert spans
    services = traced.status()["services"]
    pages = {name: httpx2.get(f"{services[name]['ops_url']}/metrics", timeout=5).text for name in SERVICES}
    assert re.search(r"http\S*requests\S*\{[^}]*chat/completions[^}]*\} [1-9]", pages["gateway"])
    assert re.search(
        rf"gen_ai_client_operation_duration_seconds_count\{{[^}}]*{MODEL_PLAIN}[^}}]*\}} [1-9]", pages["providers"]
    )
    assert re.search(r"ledger\S*(written|events)\S* [1-9]", pages["usage"])
