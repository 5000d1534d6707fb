"""Values of the vocabulary as bus messages: Chunk, Done and UsageRecorded out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.kit.wire import answers
from llm_manager.kit.wire.accounts import SOURCES, STATES, cost_to_proto, usage_to_proto
from llm_manager.kit.wire.answers import bounded, clean
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, Outcome

# Bounds of what an event keeps: together far below the 1 MiB that the bus takes.
MAX_RAW_USAGE_BYTES: Final = 65_536
MAX_NAME_CHARACTERS: Final = 512
MAX_END_USER_CHARACTERS: Final = 1_024
MAX_TAGS: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def chunk_of(pieces: Pieces, *, characters: int = 0, opening: Outcome | None = None) -> bytes:
    """Return the pieces as one serialised Chunk.

    Args:
        characters: how many of the answer they add.
        opening: the attempt, when this is the first chunk of a stream: then it brings what the headers said.
    """
    chunk = infer_pb2.Chunk(native=pieces.native, characters=characters)
    if opening is not None:
        chunk.opening.CopyFrom(
            infer_pb2.Opening(
                upstream_request_id=clean(opening.upstream_request_id),
                upstream_headers=_headers(opening),
                warnings=opening.warnings,
                dropped=opening.dropped,
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
    if pieces.exchange is not None:
        chunk.exchange.CopyFrom(answers.exchange_to_proto(pieces.exchange))
    return chunk.SerializeToString()


def done_of(event: event_pb2.UsageRecorded | None, outcome: Outcome) -> bytes:
    """Return the serialised Done: the event without the attribution, which the receiver knows."""
    done = infer_pb2.Done(upstream_headers=_headers(outcome), warnings=outcome.warnings, dropped=outcome.dropped)
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
        requested_model=bounded(attribution.requested_model, MAX_NAME_CHARACTERS),
        configuration=bounded(attribution.configuration, MAX_NAME_CHARACTERS),
        provider=job.target.provider,
        provider_kind=job.target.kind,
        upstream_model=bounded(job.target.upstream_model, MAX_NAME_CHARACTERS),
        response_model=bounded(reader.response_model) if reader is not None else "",
        operation=job.operation,
        is_stream=job.is_stream,
        state=STATES[outcome.state],
        error_code=outcome.error.code if outcome.error is not None else "",
        upstream_status=outcome.status,
        upstream_request_id=bounded(outcome.upstream_request_id),
        finish_reason=bounded(reader.finish_reason) if reader is not None else "",
        native_finish_reason=bounded(reader.native_finish_reason) if reader is not None else "",
        usage=usage_to_proto(report.usage),
        usage_source=SOURCES[report.source],
        # A longer report is no report of counts; half of one could not be read by anybody.
        raw_usage=report.raw if len(report.raw) <= MAX_RAW_USAGE_BYTES else b"",
        cost=cost_to_proto(cost),
        end_user=bounded(attribution.end_user, MAX_END_USER_CHARACTERS),
        tags=_tags(attribution),
        response_id=bounded(outcome.identity.response_id) if outcome.identity else "",
        system_fingerprint=bounded(outcome.identity.system_fingerprint) if outcome.identity else "",
        recorder=event_pb2.RECORDER_WORKER,
        billed_usage=None if report.billed is None else usage_to_proto(report.billed),
    )
    since = outcome.started_at - _EPOCH  # protobuf's own FromDatetime takes three times as long
    event.started_at.seconds, event.started_at.nanos = since // _SECOND, since.microseconds * 1000
    if outcome.first_token_seconds is not None:
        event.time_to_first_token_ms = round(outcome.first_token_seconds * 1000)
    return event


def least_event_of(attribution: infer_pb2.Attribution, job: Job, outcome: Outcome) -> event_pb2.UsageRecorded:
    """Return what can always be said of an attempt: who made it, and that nobody knows what it cost."""
    unknown = Outcome(started_at=outcome.started_at, state=outcome.state, error=outcome.error)
    unknown.duration_seconds = outcome.duration_seconds
    return event_of(
        attribution,
        job,
        unknown,
        report=UsageReport(Usage(), UsageSource.UNKNOWN),
        cost=Cost(CostState.UNPRICED, None),
    )


def _tags(attribution: infer_pb2.Attribution) -> dict[str, str]:
    return {bounded(name): bounded(value) for name, value in list(attribution.tags.items())[:MAX_TAGS]}


def _headers(outcome: Outcome) -> dict[str, str]:
    return {name: clean(text) for name, text in outcome.upstream_headers.items()}
