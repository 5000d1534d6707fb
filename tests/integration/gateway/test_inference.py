"""One trace from the edge to the worker, and logs without secrets."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_manager.kit import telemetry
from llm_manager.testing.answering_worker import AnsweringWorker, answering, chunk, done, finish, text

CANARY = "the prompt canary 7f3a"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Generator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.setup("gateway", otlp_endpoint="", processor=SimpleSpanProcessor(exporter))
    yield exporter
    telemetry.setup("gateway", otlp_endpoint="")


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_trace_goes_from_the_caller_to_the_worker(
    is_stream: bool, http: httpx2.AsyncClient, worker: AnsweringWorker, spans: InMemorySpanExporter
) -> None:
    worker.script = answering(chunk(text("Hi"), finish()), end=done(cost_picousd=7))
    body = {"model": "echo", "stream": is_stream, "messages": [{"role": "user", "content": CANARY}]}
    answer = await http.post("/v1/chat/completions", json=body, headers={"traceparent": CALLER})
    dispatch, edge = spans.get_finished_spans()
    assert (edge.name, dispatch.name) == ("POST /v1/chat/completions", "send llm.v1.infer")
    assert edge.context is not None
    assert dispatch.context is not None
    assert edge.parent is not None
    assert dispatch.parent is not None
    assert f"{edge.parent.span_id:016x}" == CALLER.split("-")[2]
    assert dispatch.parent.span_id == edge.context.span_id
    seen = worker.headers[0]["traceparent"].split("-")
    assert seen[1:3] == [CALLER.split("-")[1], f"{dispatch.context.span_id:016x}"]
    attributes = dict(dispatch.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "echo"
    assert attributes["gen_ai.request.model"] == "echo"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (3, 2)
    assert attributes["llm_manager.cost.picousd"] == 7
    assert dict(edge.attributes or {})["http.response.status_code"] == 200
    assert dict(edge.attributes or {})["llm_manager.request.id"] == answer.headers["x-request-id"]
    assert CANARY not in "".join(span.to_json() for span in (dispatch, edge))


async def test_logs_hold_neither_prompts_nor_keys(
    http: httpx2.AsyncClient, served: Any, worker: AnsweringWorker, log_lines: io.StringIO
) -> None:
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": CANARY}]}
    failed = await http.post("/v1/chat/completions", json=body)
    logged = log_lines.getvalue()
    assert failed.headers["x-request-id"] in logged
    for secret in (CANARY, served.api_key, "canary-0001", "canary_0001", "correct horse"):
        assert secret not in logged
