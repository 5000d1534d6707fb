import asyncio
from collections.abc import AsyncGenerator

import pytest
from opentelemetry import trace

from llm_manager.core.errors import ModelNotFound
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.testing.otlp import CollectedSpan, OtlpCollector, otlp_collector

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PROMPT = "my secret prompt"


@pytest.fixture
async def collector() -> AsyncGenerator[OtlpCollector]:
    with otlp_collector() as running:
        telemetry.setup("sample", otlp_endpoint=running.endpoint)
        yield running
        await telemetry.shutdown()


async def exported(collector: OtlpCollector) -> dict[str, CollectedSpan]:
    await telemetry.shutdown()
    return {span.name: span for span in collector.spans}


async def test_spans_reach_a_collector_with_service_parent_kind_and_attributes(collector: OtlpCollector) -> None:
    attributes = {names.GEN_AI_OPERATION_NAME: "chat", names.GEN_AI_USAGE_INPUT_TOKENS: 12}
    with (
        telemetry.span("POST /v1/chat/completions", kind=telemetry.SpanKind.SERVER),
        telemetry.span("chat m", kind=telemetry.SpanKind.CLIENT, attributes=attributes) as span,
    ):
        span.set_attribute(names.GEN_AI_RESPONSE_FINISH_REASONS, ["stop"])

    spans = await exported(collector)

    outer, inner = spans["POST /v1/chat/completions"], spans["chat m"]
    assert (outer.service, outer.kind, outer.parent_id) == ("sample", 2, "")
    assert (inner.trace_id, inner.parent_id, inner.kind) == (outer.trace_id, outer.span_id, 3)
    assert inner.attributes == {**attributes, "gen_ai.response.finish_reasons": ["stop"]}
    assert not inner.is_failed


@pytest.mark.requirement("S208")
async def test_the_trace_goes_on_behind_a_header(collector: OtlpCollector) -> None:
    headers: dict[str, str] = {}
    with telemetry.span("send"):
        telemetry.inject(headers)
    with telemetry.span("process", context=telemetry.extract(headers)):
        assert telemetry.current_trace() is not None

    spans = await exported(collector)

    assert spans["process"].trace_id == spans["send"].trace_id
    assert spans["process"].parent_id == spans["send"].span_id


async def test_a_failed_span_names_the_error_and_repeats_no_text(collector: OtlpCollector) -> None:
    with pytest.raises(ModelNotFound), telemetry.span("ours"):
        raise ModelNotFound(PROMPT)
    with pytest.raises(ValueError, match=PROMPT), telemetry.span("other"):
        raise ValueError(PROMPT)

    spans = await exported(collector)

    assert spans["ours"].is_failed
    assert spans["ours"].attributes == {"error.type": "model_not_found"}
    assert spans["other"].attributes == {"error.type": "ValueError"}
    assert all(PROMPT.encode() not in body for body in collector.bodies)


async def test_a_span_that_outlives_its_block_is_ended_by_its_owner(collector: OtlpCollector) -> None:
    with telemetry.span("request"):
        stream = telemetry.tracer.start_span("stream")
    await asyncio.sleep(0)
    stream.end()

    spans = await exported(collector)

    assert spans["stream"].parent_id == spans["request"].span_id


async def test_waiting_for_a_span_that_does_not_come_lists_what_came(collector: OtlpCollector) -> None:
    with telemetry.span("one"):
        pass
    await telemetry.shutdown()

    def wait() -> None:
        collector.wait_for(lambda spans: len(spans) == 2, timeout_seconds=0.05)

    with pytest.raises(TimeoutError, match=r"only \['sample: one'\]"):
        await asyncio.to_thread(wait)


def test_without_an_endpoint_nothing_is_recorded_and_a_foreign_trace_is_handed_on() -> None:
    headers: dict[str, str] = {}

    with telemetry.span("work", context=telemetry.extract({"traceparent": PARENT, "tracestate": "a=b"})) as span:
        telemetry.inject(headers)

    assert not telemetry.tracer.is_enabled
    assert not span.is_recording()
    assert headers == {"traceparent": PARENT, "tracestate": "a=b"}


def test_outside_of_a_trace_nothing_is_injected() -> None:
    headers: dict[str, str] = {}

    with telemetry.span("work", context=telemetry.extract(None)):
        telemetry.inject(headers)

    assert headers == {}
    assert telemetry.current_trace() is None


@pytest.mark.parametrize("header", ["", "garbage", "00-zz-zz-01", PARENT[:-5]])
def test_a_malformed_header_starts_no_trace(header: str) -> None:
    context = telemetry.extract({"traceparent": header})

    assert not trace.get_current_span(context).get_span_context().is_valid
