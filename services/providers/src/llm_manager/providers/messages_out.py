"""Values of the vocabulary as bus messages: Chunk, Done and UsageRecorded out."""

from __future__ import annotations

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.deltas import (
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, Outcome, State

_STATES = {
    State.OK: event_pb2.ATTEMPT_STATE_OK,
    State.ERROR: event_pb2.ATTEMPT_STATE_ERROR,
    State.CANCELLED: event_pb2.ATTEMPT_STATE_CANCELLED,
}
_SOURCES = {
    UsageSource.PROVIDER: event_pb2.USAGE_SOURCE_PROVIDER,
    UsageSource.ESTIMATED: event_pb2.USAGE_SOURCE_ESTIMATED,
    UsageSource.UNKNOWN: event_pb2.USAGE_SOURCE_UNKNOWN,
    UsageSource.NONE: event_pb2.USAGE_SOURCE_NONE,
}
_COST_STATES = {
    CostState.PRICED: event_pb2.COST_STATE_PRICED,
    CostState.REPORTED: event_pb2.COST_STATE_REPORTED,
    CostState.UNPRICED: event_pb2.COST_STATE_UNPRICED,
}


def chunk_of(pieces: Pieces) -> bytes:
    """Return the pieces as one serialised Chunk."""
    chunk = infer_pb2.Chunk(native=pieces.native)
    if pieces.info is not None:
        info = pieces.info
        chunk.info.CopyFrom(
            chat_pb2.AnswerInfo(
                id=_clean(info.id),
                model=_clean(info.model),
                created=info.created,
                system_fingerprint=_clean(info.system_fingerprint),
                service_tier=_clean(info.service_tier),
            )
        )
    if pieces.deltas:
        chunk.deltas.extend(_delta(delta) for delta in pieces.deltas)
    if pieces.embeddings:
        chunk.embeddings.extend(chat_pb2.Embedding(values=vector) for vector in pieces.embeddings)
    if pieces.models:
        chunk.models.extend(
            chat_pb2.Model(id=_clean(m.id), created=m.created, owned_by=_clean(m.owned_by), native=m.native)
            for m in pieces.models
        )
    return chunk.SerializeToString()


def done_of(event: event_pb2.UsageRecorded | None, outcome: Outcome) -> bytes:
    """Return the serialised Done: the event without the attribution, which the receiver knows."""
    done = infer_pb2.Done(upstream_headers={name: _clean(text) for name, text in outcome.upstream_headers.items()})
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
        response_model=_clean(reader.response_model) if reader is not None else "",
        operation=job.operation,
        is_stream=job.is_stream,
        state=_STATES[outcome.state],
        error_code=outcome.error.code if outcome.error is not None else "",
        upstream_status=outcome.status,
        upstream_request_id=_clean(outcome.upstream_request_id),
        finish_reason=reader.finish_reason if reader is not None else "",
        native_finish_reason=_clean(reader.native_finish_reason) if reader is not None else "",
        usage=usage_message(report.usage),
        usage_source=_SOURCES[report.source],
        raw_usage=report.raw,
        cost=cost_message(cost),
        end_user=attribution.end_user,
        tags=dict(attribution.tags),
    )
    event.started_at.FromDatetime(outcome.started_at)
    if outcome.first_token_seconds is not None:
        event.time_to_first_token_ms = round(outcome.first_token_seconds * 1000)
    return event


def usage_message(usage: Usage) -> event_pb2.Usage:
    """Return counts as they travel."""
    return event_pb2.Usage(**{name: getattr(usage, name) for name in BUCKETS})


def cost_message(cost: Cost) -> event_pb2.Cost:
    """Return money as it travels."""
    message = event_pb2.Cost(state=_COST_STATES[cost.state], price_version=cost.price_version)
    if cost.total_picousd is not None:
        message.total_picousd = cost.total_picousd
    message.lines.extend(
        event_pb2.PriceLine(
            bucket=line.bucket,
            quantity=line.quantity,
            rate_picousd_per_million=line.rate_picousd_per_million,
            amount_picousd=line.amount_picousd,
        )
        for line in cost.lines
    )
    return message


def _delta(delta: Delta) -> chat_pb2.Delta:
    match delta:
        case TextDelta():
            return chat_pb2.Delta(choice=delta.choice, text=_clean(delta.text))
        case ReasoningDelta():
            return chat_pb2.Delta(choice=delta.choice, reasoning=_clean(delta.text))
        case RefusalDelta():
            return chat_pb2.Delta(choice=delta.choice, refusal=_clean(delta.text))
        case ToolCallStart():
            start = chat_pb2.ToolCallStart(index=delta.index, id=_clean(delta.id), name=_clean(delta.name))
            return chat_pb2.Delta(choice=delta.choice, tool_call_start=start)
        case ToolCallArguments():
            arguments = chat_pb2.ToolCallArguments(index=delta.index, fragment=_clean(delta.fragment))
            return chat_pb2.Delta(choice=delta.choice, tool_call_arguments=arguments)
        case Logprobs():
            return chat_pb2.Delta(choice=delta.choice, logprobs=delta.json)
        case Finish():
            finish = chat_pb2.Finish(reason=delta.reason, native_reason=_clean(delta.native_reason))
            return chat_pb2.Delta(choice=delta.choice, finish=finish)
        case OpaqueDelta():
            block = chat_pb2.OpaqueBlock(dialect=delta.block.dialect, json=delta.block.json)
            return chat_pb2.Delta(choice=delta.choice, opaque=block)


def _clean(text: str) -> str:
    """Replace lone surrogates, which models do write into JSON escapes and protobuf does not take."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
