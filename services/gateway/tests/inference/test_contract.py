"""Messages of a worker are read whole."""

from __future__ import annotations

import pytest

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core import deltas
from llm_manager.core import messages as words
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.contract import outcome_of, piece_of
from llm_manager.gateway.inference.rules import Opening, Outcome, Piece


def test_a_piece_is_read_whole() -> None:
    delta = chat_pb2.Delta
    chunk = infer_pb2.Chunk(
        info=chat_pb2.AnswerInfo(id="i", model="m", created=5, system_fingerprint="f", service_tier="t"),
        deltas=[
            delta(text="a", choice=1),
            delta(reasoning="b"),
            delta(refusal="c"),
            delta(tool_call_start=chat_pb2.ToolCallStart(index=1, id="x", name="f")),
            delta(tool_call_arguments=chat_pb2.ToolCallArguments(index=1, fragment="{")),
            delta(logprobs=b"{}"),
            delta(finish=chat_pb2.Finish(reason="length", native_reason="MAX")),
            delta(opaque=chat_pb2.OpaqueBlock(dialect="d", json=b"[]")),
            delta(choice=3),
        ],
        embeddings=[chat_pb2.Embedding(values=[0.5, 1.0])],
        models=[chat_pb2.Model(id="m", created=1, owned_by="o", native=b"{}")],
        rerank=[chat_pb2.RerankResult(index=1, score=0.5)],
        token_count=chat_pb2.TokenCount(input_tokens=7),
        opening=infer_pb2.Opening(upstream_request_id="u", upstream_headers={"a": "b"}, warnings=["w"], dropped=["d"]),
    )
    assert piece_of(chunk.SerializeToString()) == Piece(
        info=deltas.AnswerInfo(id="i", model="m", created=5, system_fingerprint="f", service_tier="t"),
        deltas=(
            deltas.TextDelta(text="a", choice=1),
            deltas.ReasoningDelta(text="b"),
            deltas.RefusalDelta(text="c"),
            deltas.ToolCallStart(index=1, id="x", name="f"),
            deltas.ToolCallArguments(index=1, fragment="{"),
            deltas.Logprobs(json=b"{}"),
            deltas.Finish(reason="length", native_reason="MAX"),
            deltas.OpaqueDelta(block=words.OpaqueBlock(dialect="d", json=b"[]")),
        ),
        embeddings=((0.5, 1.0),),
        models=(deltas.Model(id="m", created=1, owned_by="o", native=b"{}"),),
        rerank=(deltas.RerankResult(index=1, score=0.5),),
        token_count=deltas.TokenCount(input_tokens=7),
        opening=Opening("u", {"a": "b"}, ("w",), ("d",)),
    )


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_is_read(bucket: str) -> None:
    event = event_pb2.UsageRecorded(
        usage=event_pb2.Usage(**{bucket: 7}),
        usage_source=event_pb2.USAGE_SOURCE_PROVIDER,
        raw_usage=b"{}",
        billed_usage=event_pb2.Usage(output_text=1),
        cost=event_pb2.Cost(state=event_pb2.COST_STATE_REPORTED, total_picousd=5, price_version="v"),
        upstream_request_id="up",
        response_model="m",
    )
    done = infer_pb2.Done(
        event=event, upstream_headers={"x-ratelimit-limit-requests": "9"}, warnings=["w"], dropped=["d"]
    )
    assert outcome_of(done.SerializeToString()) == Outcome(
        report=UsageReport(Usage(**{bucket: 7}), UsageSource.PROVIDER, b"{}", billed=Usage(output_text=1)),
        cost=Cost(CostState.REPORTED, 5, price_version="v"),
        upstream_request_id="up",
        upstream_headers={"x-ratelimit-limit-requests": "9"},
        response_model="m",
        warnings=("w",),
        dropped=("d",),
    )


def test_an_account_of_a_newer_worker_promises_nothing() -> None:
    outcome = outcome_of(infer_pb2.Done().SerializeToString())
    assert (outcome.report.source, outcome.cost.state) == (UsageSource.UNKNOWN, CostState.UNPRICED)
    assert outcome.cost.total_picousd is None


def test_a_native_piece_is_read() -> None:
    assert piece_of(infer_pb2.Chunk(native=[b"a", b"b"]).SerializeToString()) == Piece(native=(b"a", b"b"))
