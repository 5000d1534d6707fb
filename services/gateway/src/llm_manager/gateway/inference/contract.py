"""The messages of the contract read into what the gateway knows."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Opening, Outcome, Piece
from llm_manager.kit.wire import answers
from llm_manager.kit.wire.accounts import cost_state_from_proto, source_from_proto, total_from_proto, usage_from_proto


def piece_of(message: bytes) -> Piece:
    """Read one message of an answer."""
    chunk = infer_pb2.Chunk.FromString(message)
    opening = _opening(chunk.opening) if chunk.HasField("opening") else None
    if chunk.native:
        # a native answer has nothing else, and there is one such message for every token
        return Piece(native=tuple(chunk.native), opening=opening, characters=chunk.characters)
    return Piece(
        info=answers.info_from_proto(chunk.info) if chunk.HasField("info") else None,
        deltas=tuple(delta for item in chunk.deltas if (delta := answers.delta_from_proto(item)) is not None),
        embeddings=tuple(tuple(item.values) for item in chunk.embeddings),
        models=tuple(map(answers.model_from_proto, chunk.models)),
        rerank=tuple(map(answers.rerank_result_from_proto, chunk.rerank)),
        token_count=answers.token_count_from_proto(chunk.token_count) if chunk.HasField("token_count") else None,
        exchange=answers.exchange_from_proto(chunk.exchange) if chunk.HasField("exchange") else None,
        opening=opening,
        characters=chunk.characters,
    )


def _opening(opening: infer_pb2.Opening) -> Opening:
    return Opening(
        opening.upstream_request_id,
        dict(opening.upstream_headers),
        warnings=tuple(opening.warnings),
        dropped=tuple(opening.dropped),
    )


def headers_of_failure(detail: bytes) -> Mapping[str, str]:
    """Return the provider's headers that clients get, from what a worker added to a failure; none where it did not."""
    try:
        return dict(infer_pb2.Done.FromString(detail).upstream_headers)
    except DecodeError:
        return {}


def outcome_of(done: bytes) -> Outcome:
    """Read what an attempt used and cost."""
    message = infer_pb2.Done.FromString(done)
    event = message.event
    source = source_from_proto(event.usage_source) or UsageSource.UNKNOWN
    billed = usage_from_proto(event.billed_usage) if event.HasField("billed_usage") else None
    return Outcome(
        report=UsageReport(usage_from_proto(event.usage), source, event.raw_usage, billed=billed),
        cost=Cost(
            cost_state_from_proto(event.cost.state) or CostState.UNPRICED,
            total_from_proto(event.cost),
            price_version=event.cost.price_version,
        ),
        upstream_request_id=event.upstream_request_id,
        upstream_headers=dict(message.upstream_headers),
        response_model=event.response_model,
        warnings=tuple(message.warnings),
        dropped=tuple(message.dropped),
    )
