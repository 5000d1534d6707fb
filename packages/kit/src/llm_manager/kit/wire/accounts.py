"""Counts and money as they travel: Usage, Cost and their states of usage/v1/event.proto."""

from __future__ import annotations

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import Cost, CostState, PriceLine
from llm_manager.core.usage import BUCKETS, AttemptState, Recorder, Usage, UsageSource, counts_of

STATES: dict[AttemptState, event_pb2.AttemptState.ValueType] = {
    AttemptState.OK: event_pb2.ATTEMPT_STATE_OK,
    AttemptState.ERROR: event_pb2.ATTEMPT_STATE_ERROR,
    AttemptState.CANCELLED: event_pb2.ATTEMPT_STATE_CANCELLED,
    AttemptState.CACHE_HIT: event_pb2.ATTEMPT_STATE_CACHE_HIT,
}
SOURCES: dict[UsageSource, event_pb2.UsageSource.ValueType] = {
    UsageSource.PROVIDER: event_pb2.USAGE_SOURCE_PROVIDER,
    UsageSource.ESTIMATED: event_pb2.USAGE_SOURCE_ESTIMATED,
    UsageSource.UNKNOWN: event_pb2.USAGE_SOURCE_UNKNOWN,
    UsageSource.NONE: event_pb2.USAGE_SOURCE_NONE,
}
COST_STATES: dict[CostState, event_pb2.CostState.ValueType] = {
    CostState.PRICED: event_pb2.COST_STATE_PRICED,
    CostState.REPORTED: event_pb2.COST_STATE_REPORTED,
    CostState.UNPRICED: event_pb2.COST_STATE_UNPRICED,
}
RECORDERS: dict[Recorder, event_pb2.Recorder.ValueType] = {
    Recorder.WORKER: event_pb2.RECORDER_WORKER,
    Recorder.GATEWAY: event_pb2.RECORDER_GATEWAY,
    Recorder.RECONCILER: event_pb2.RECORDER_RECONCILER,
}
_RECORDERS_BACK: dict[int, Recorder] = {number: recorder for recorder, number in RECORDERS.items()}
_STATES_BACK: dict[int, AttemptState] = {number: state for state, number in STATES.items()}
_SOURCES_BACK: dict[int, UsageSource] = {number: source for source, number in SOURCES.items()}
_COST_STATES_BACK: dict[int, CostState] = {number: state for state, number in COST_STATES.items()}


def usage_to_proto(usage: Usage) -> event_pb2.Usage:
    """Return counts as they travel."""
    return event_pb2.Usage(**dict(zip(BUCKETS, counts_of(usage), strict=True)))


def usage_from_proto(usage: event_pb2.Usage) -> Usage:
    """Return the counts that travelled."""
    return Usage(*counts_of(usage))


def state_from_proto(number: int) -> AttemptState | None:
    """Return how an attempt ended; None for zero and for numbers of a newer version."""
    return _STATES_BACK.get(number)


def recorder_from_proto(number: int) -> Recorder:
    """Return who wrote an event; the worker where it is not said."""
    return _RECORDERS_BACK.get(number, Recorder.WORKER)


def source_from_proto(number: int) -> UsageSource | None:
    """Return where counts come from; None for zero and for numbers of a newer version."""
    return _SOURCES_BACK.get(number)


def cost_state_from_proto(number: int) -> CostState | None:
    """Return how a cost came about; None for zero and for numbers of a newer version."""
    return _COST_STATES_BACK.get(number)


def cost_to_proto(cost: Cost) -> event_pb2.Cost:
    """Return money as it travels."""
    message = event_pb2.Cost(
        state=COST_STATES[cost.state], total_picousd=cost.total_picousd, price_version=cost.price_version
    )
    message.lines.extend(line_to_proto(line) for line in cost.lines)
    return message


def line_to_proto(line: PriceLine) -> event_pb2.PriceLine:
    """Return one line of a cost as it travels."""
    return event_pb2.PriceLine(
        bucket=line.bucket,
        quantity=line.quantity,
        rate_picousd_per_million=line.rate_picousd_per_million,
        amount_picousd=line.amount_picousd,
    )


def line_from_proto(line: event_pb2.PriceLine) -> PriceLine:
    """Return the line that travelled."""
    return PriceLine(line.bucket, line.quantity, line.rate_picousd_per_million, line.amount_picousd)


def total_from_proto(cost: event_pb2.Cost) -> int | None:
    """Return the total in pico-dollars; None when there is none, which is not zero."""
    return cost.total_picousd if cost.HasField("total_picousd") else None
