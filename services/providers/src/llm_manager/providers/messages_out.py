"""Values of the vocabulary as bus messages: Chunk, Done and UsageRecorded out."""

from __future__ import annotations

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import Cost
from llm_manager.core.usage import UsageReport
from llm_manager.kit.wire import answers
from llm_manager.kit.wire.accounts import SOURCES, STATES, cost_to_proto, usage_to_proto
from llm_manager.kit.wire.answers import clean
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, Outcome


def chunk_of(pieces: Pieces, *, opening: Outcome | None = None) -> bytes:
    """Return the pieces as one serialised Chunk.

    Args:
        opening: the attempt, when this is the first chunk of a stream: then it brings what the headers said.
    """
    chunk = infer_pb2.Chunk(native=pieces.native)
    if opening is not None:
        chunk.opening.CopyFrom(
            infer_pb2.Opening(
                upstream_request_id=clean(opening.upstream_request_id),
                upstream_headers=_headers(opening),
                warnings=opening.warnings,
            )
        )
    if pieces.info is not None:
        chunk.info.CopyFrom(answers.info_to_proto(pieces.info))
    if pieces.deltas:
        chunk.deltas.extend(map(answers.delta_to_proto, pieces.deltas))
    if pieces.embeddings:
        chunk.embeddings.extend(answers.embedding_to_proto(vector) for vector in pieces.embeddings)
    if pieces.models:
        chunk.models.extend(map(answers.model_to_proto, pieces.models))
    if pieces.rerank:
        chunk.rerank.extend(map(answers.rerank_result_to_proto, pieces.rerank))
    if pieces.token_count is not None:
        chunk.token_count.CopyFrom(answers.token_count_to_proto(pieces.token_count))
    return chunk.SerializeToString()


def done_of(event: event_pb2.UsageRecorded | None, outcome: Outcome) -> bytes:
    """Return the serialised Done: the event without the attribution, which the receiver knows."""
    done = infer_pb2.Done(upstream_headers=_headers(outcome), warnings=outcome.warnings)
    if event is not None:
        done.event.CopyFrom(event)
        for name in ("app_id", "api_key_id", "requested_model", "configuration", "end_user", "tags"):
            done.event.ClearField(name)
    return done.SerializeToString()


def event_of(
    attribution: infer_pb2.Attribution, job: Job, outcome: Outcome, *, report: UsageReport, cost: Cost
) -> event_pb2.UsageRecorded:
    """Return the attempt as the ledger's unit of record."""
    reader = outcome.reader
    event = event_pb2.UsageRecorded(
        event_id=attribution.attempt_id,
        request_id=attribution.request_id,
        attempt=attribution.attempt,
        duration_ms=round(outcome.duration_seconds * 1000),
        app_id=attribution.app_id,
        api_key_id=attribution.api_key_id,
        requested_model=attribution.requested_model,
        configuration=attribution.configuration,
        provider=job.target.provider,
        provider_kind=job.target.kind,
        upstream_model=job.target.upstream_model,
        response_model=clean(reader.response_model) if reader is not None else "",
        operation=job.operation,
        is_stream=job.is_stream,
        state=STATES[outcome.state],
        error_code=outcome.error.code if outcome.error is not None else "",
        upstream_status=outcome.status,
        upstream_request_id=clean(outcome.upstream_request_id),
        finish_reason=reader.finish_reason if reader is not None else "",
        native_finish_reason=clean(reader.native_finish_reason) if reader is not None else "",
        usage=usage_to_proto(report.usage),
        usage_source=SOURCES[report.source],
        raw_usage=report.raw,
        cost=cost_to_proto(cost),
        end_user=attribution.end_user,
        tags=dict(attribution.tags),
        response_id=clean(outcome.identity.response_id) if outcome.identity else "",
        system_fingerprint=clean(outcome.identity.system_fingerprint) if outcome.identity else "",
        billed_usage=None if report.billed is None else usage_to_proto(report.billed),
    )
    event.started_at.FromDatetime(outcome.started_at)
    if outcome.first_token_seconds is not None:
        event.time_to_first_token_ms = round(outcome.first_token_seconds * 1000)
    return event


def _headers(outcome: Outcome) -> dict[str, str]:
    return {name: clean(text) for name, text in outcome.upstream_headers.items()}
