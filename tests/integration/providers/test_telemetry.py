"""What a trace and the metrics tell about an attempt, and what they must not."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from llm_manager.core.facts import load_facts
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.testing.asker import Asker
from llm_manager.testing.upstream import FakeUpstream, Script, chunk, sse, usage_chunk

BODY = b'{"messages":[{"role":"user","content":"SECRET PROMPT"}]}'
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
USAGE = {"prompt_tokens": 10, "completion_tokens": 3}


@pytest.fixture
def spans() -> Generator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.setup("providers", otlp_endpoint="", processor=SimpleSpanProcessor(exporter))
    yield exporter
    telemetry.setup("providers", otlp_endpoint="")


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return found


def span_id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


async def test_trace_goes_from_the_bus_to_the_upstream_and_the_ledger_without_the_prompt(
    asker: Asker, upstream: FakeUpstream, spans: InMemorySpanExporter
) -> None:
    upstream.script = Script(steps=sse(chunk("SECRET ANSWER"), chunk(finish="stop"), usage_chunk(USAGE), "[DONE]"))
    request = asker.native_chat(BODY)
    async with asker.requester.stream(
        asker.subject,
        request.SerializeToString(),
        request_id=request.attribution.request_id,
        deadline_seconds=10,
        headers={"traceparent": PARENT},
    ) as frames:
        assert [message async for message in frames]

    work, call = named(spans, names.SPAN_BUS_PROCESS), named(spans, "chat asked-for")
    publish = named(spans, names.SPAN_USAGE_PUBLISH)
    assert work.parent is not None
    assert f"{work.parent.trace_id:032x}-{work.parent.span_id:016x}" == PARENT[3:52]
    for child in (call, publish):
        assert child.parent is not None
        assert child.parent.span_id == span_id_of(work)
    attributes = dict(call.attributes or {})
    assert attributes[names.GEN_AI_PROVIDER_NAME] == "custom"
    assert attributes[names.GEN_AI_RESPONSE_MODEL] == "upstream-says"
    assert attributes[names.GEN_AI_RESPONSE_FINISH_REASONS] == ("stop",)
    assert (attributes[names.GEN_AI_USAGE_INPUT_TOKENS], attributes[names.GEN_AI_USAGE_OUTPUT_TOKENS]) == (10, 3)
    assert attributes[names.HTTP_RESPONSE_STATUS_CODE] == 200
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "SECRET" not in told
    assert "sk-canary" not in told


async def test_failed_attempt_is_marked_by_its_code_alone(
    asker: Asker, upstream: FakeUpstream, spans: InMemorySpanExporter
) -> None:
    upstream.script = Script(status=400, steps=[json.dumps({"error": {"message": "SECRET PROMPT is bad"}}).encode()])
    await asker.ask(asker.native_chat(BODY))

    attributes = dict(named(spans, "chat asked-for").attributes or {})
    assert attributes[names.ERROR_TYPE] == "upstream_refused"
    assert "SECRET" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_metrics_count_tokens_durations_and_unknown_finish_reasons(asker: Asker, upstream: FakeUpstream) -> None:
    call = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "custom",
        "gen_ai_request_model": "asked-for",
    }

    def value(name: str, **more: str) -> float:
        return REGISTRY.get_sample_value(name, {**call, **more}) or 0.0

    def unknown() -> float:
        labels = {"gen_ai_provider_name": "custom"}
        return REGISTRY.get_sample_value("llm_manager_unknown_finish_reasons_total", labels) or 0.0

    tokens, attempts, before = (
        value("gen_ai_client_token_usage_sum", gen_ai_token_type="output"),
        value("gen_ai_client_operation_duration_seconds_count", error_type=""),
        unknown(),
    )
    upstream.script = Script(steps=sse(chunk("a"), chunk(finish="brand_new"), usage_chunk(USAGE), "[DONE]"))
    answered = await asker.ask(asker.native_chat(BODY))

    assert answered.event.finish_reason == "length"
    assert answered.event.native_finish_reason == "brand_new"
    assert value("gen_ai_client_token_usage_sum", gen_ai_token_type="output") == tokens + 3
    assert value("gen_ai_client_operation_duration_seconds_count", error_type="") == attempts + 1
    assert unknown() == before + 1


def test_dialects_share_no_state_between_requests() -> None:
    dialect = OpenAiChat(load_facts()["custom"], new_id=lambda: "x")
    one, other = dialect.native_chat_reader(is_stream=True), dialect.native_chat_reader(is_stream=True)
    one.feed(b"".join(sse(chunk("a"), chunk(finish="stop"))))

    assert not other.written
    assert other.finish_reason == ""
