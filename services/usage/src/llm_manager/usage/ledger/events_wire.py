"""UsageRecorded on the wire to and from an attempt of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from google.protobuf.message import DecodeError

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.kit.wire.accounts import (
    COST_STATES,
    RECORDERS,
    SOURCES,
    STATES,
    cost_state_from_proto,
    line_from_proto,
    line_to_proto,
    recorder_from_proto,
    source_from_proto,
    state_from_proto,
    total_from_proto,
    usage_from_proto,
    usage_to_proto,
)
from llm_manager.usage.ledger.rules import Attempt, Money, UnusableEventError, parse_event_id

# Fields that mean the same, by the same name and type, on both sides.
_PLAIN = (
    *("request_id", "attempt", "duration_ms", "app_id", "api_key_id", "requested_model", "configuration", "provider"),
    *("provider_kind", "upstream_model", "response_model", "operation", "is_stream", "error_code", "upstream_status"),
    *("upstream_request_id", "finish_reason", "native_finish_reason", "raw_usage", "end_user"),
    *("response_id", "system_fingerprint"),
)
_plain_of: Callable[[object], tuple[Any, ...]] = attrgetter(*_PLAIN)  # of an event and of an attempt


def decode(payload: bytes) -> Attempt:
    """Read one message of the stream USAGE.

    Raises:
        UnusableEventError: it is no UsageRecorded, or its id is none.
    """
    event = event_pb2.UsageRecorded()
    try:
        event.ParseFromString(payload)
    except DecodeError:
        raise UnusableEventError("not_a_usage_recorded") from None
    return from_proto(event)


def from_proto(event: event_pb2.UsageRecorded) -> Attempt:
    """Return the attempt that an event tells of, unexamined.

    Raises:
        UnusableEventError: the id is no UUIDv7.
    """
    cost = event.cost
    started_ms = event.started_at.seconds * 1000 + event.started_at.nanos // 1_000_000
    return Attempt(
        event_id=parse_event_id(event.event_id),
        started_at=_instant(started_ms),
        state=state_from_proto(event.state),
        usage=usage_from_proto(event.usage),
        billed=usage_from_proto(event.billed_usage) if event.HasField("billed_usage") else None,
        usage_source=source_from_proto(event.usage_source),
        money=Money(
            state=cost_state_from_proto(cost.state),
            total_picousd=total_from_proto(cost),
            lines=tuple(map(line_from_proto, cost.lines)),
            price_version=cost.price_version,
        ),
        time_to_first_token_ms=(event.time_to_first_token_ms if event.HasField("time_to_first_token_ms") else None),
        tags=dict(event.tags),
        recorder=recorder_from_proto(event.recorder),
        **dict(zip(_PLAIN, _plain_of(event), strict=True)),
    )


def to_proto(attempt: Attempt) -> event_pb2.UsageRecorded:
    """Return an attempt of the ledger as the event that it came from."""
    money = attempt.money
    event = event_pb2.UsageRecorded(
        event_id=str(attempt.event_id),
        time_to_first_token_ms=attempt.time_to_first_token_ms,
        usage=usage_to_proto(attempt.usage),
        billed_usage=None if attempt.billed is None else usage_to_proto(attempt.billed),
        cost=event_pb2.Cost(total_picousd=money.total_picousd, price_version=money.price_version),
        tags=attempt.tags,
        recorder=RECORDERS[attempt.recorder],
        **dict(zip(_PLAIN, _plain_of(attempt), strict=True)),
    )
    event.started_at.FromDatetime(attempt.started_at)
    if attempt.state is not None:
        event.state = STATES[attempt.state]
    if attempt.usage_source is not None:
        event.usage_source = SOURCES[attempt.usage_source]
    if money.state is not None:
        event.cost.state = COST_STATES[money.state]
    event.cost.lines.extend(map(line_to_proto, money.lines))
    return event


def _instant(milliseconds: int) -> datetime:
    """Return an instant; one that Python cannot hold becomes 1970, which the rules find far from the id."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
