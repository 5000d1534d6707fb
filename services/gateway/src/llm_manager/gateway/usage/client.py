"""Asks the usage service over gRPC."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc.aio
import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from llm_manager.contracts.usage.v1 import event_pb2, usage_service_pb2, usage_service_pb2_grpc
from llm_manager.core.prices import PICOUSD_PER_USD
from llm_manager.gateway.usage.rules import Event, EventPage, OrderBy, Range, TopBy, TopRow, Totals, usd_text
from llm_manager.kit.rpc import rpc_errors
from llm_manager.kit.wire.accounts import recorder_from_proto, total_from_proto, usage_from_proto

_DEADLINE_SECONDS = 15.0
_DIMENSIONS = {
    TopBy.MODEL: usage_service_pb2.DIMENSION_UPSTREAM_MODEL,
    TopBy.REQUESTED_MODEL: usage_service_pb2.DIMENSION_REQUESTED_MODEL,
    TopBy.PROVIDER: usage_service_pb2.DIMENSION_PROVIDER,
    TopBy.APP: usage_service_pb2.DIMENSION_APP,
    TopBy.KEY: usage_service_pb2.DIMENSION_API_KEY,
    TopBy.STATE: usage_service_pb2.DIMENSION_STATE,
}
_ORDERS = {
    OrderBy.COST: usage_service_pb2.ORDER_BY_COST,
    OrderBy.TOKENS: usage_service_pb2.ORDER_BY_TOKENS,
    OrderBy.ATTEMPTS: usage_service_pb2.ORDER_BY_ATTEMPTS,
}


class UsageClient:
    """One channel to the usage service. Every method raises LlmManagerError as the service did."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = usage_service_pb2_grpc.UsageServiceStub(channel)

    async def top(self, by: TopBy, *, order: OrderBy, limit: int, within: Range) -> list[TopRow]:
        """Return the largest groups."""
        request = usage_service_pb2.TopRequest(
            dimension=_DIMENSIONS[by], order_by=_ORDERS[order], limit=limit, filter=_filter(within)
        )
        with rpc_errors():
            response = await self._stub.Top(request, timeout=_DEADLINE_SECONDS)
        return [TopRow(row.key, _totals(row.totals)) for row in response.rows]

    async def total(self, within: Range) -> Totals:
        """Return one sum."""
        request = usage_service_pb2.TotalRequest(filter=_filter(within))
        with rpc_errors():
            response = await self._stub.Total(request, timeout=_DEADLINE_SECONDS)
        return _totals(response.totals)

    async def events(self, *, limit: int, page_token: str, within: Range) -> EventPage:
        """Return one page of events, newest first."""
        request = usage_service_pb2.ListEventsRequest(filter=_filter(within), page_size=limit, page_token=page_token)
        with rpc_errors():
            response = await self._stub.ListEvents(request, timeout=_DEADLINE_SECONDS)
        return EventPage([_event(event) for event in response.events], response.next_page_token)


def _filter(within: Range) -> usage_service_pb2.Filter:
    message = usage_service_pb2.Filter(request_id=within.request_id, failed_only=within.is_failed_only)
    for name, instant in (("from", within.start), ("to", within.end)):
        if instant is not None:
            stamp = Timestamp()
            stamp.FromDatetime(instant.astimezone(UTC))
            # "from" is a word of Python, so the field is reached by its name
            getattr(message, name).CopyFrom(stamp)
    return message


def _totals(totals: usage_service_pb2.Totals) -> Totals:
    return Totals(
        attempts=totals.attempts,
        failed_attempts=totals.failed_attempts,
        usage=usage_from_proto(totals.usage),
        cost_usd=totals.cost_usd,
        unpriced_attempts=totals.unpriced_attempts,
        estimated_attempts=totals.estimated_attempts,
    )


def _event(event: event_pb2.UsageRecorded) -> Event:
    started_at: datetime = event.started_at.ToDatetime(UTC)
    cost = total_from_proto(event.cost)
    return Event(
        event_id=event.event_id,
        request_id=event.request_id,
        attempt=event.attempt,
        started_at=started_at,
        duration_ms=event.duration_ms,
        app_id=event.app_id,
        api_key_id=event.api_key_id,
        requested_model=event.requested_model,
        configuration=event.configuration,
        provider=event.provider,
        upstream_model=event.upstream_model,
        operation=event.operation,
        is_stream=event.is_stream,
        state=_word(event_pb2.AttemptState.Name(event.state), "ATTEMPT_STATE_"),
        error_code=event.error_code,
        finish_reason=event.finish_reason,
        usage=usage_from_proto(event.usage),
        usage_source=_word(event_pb2.UsageSource.Name(event.usage_source), "USAGE_SOURCE_"),
        cost_state=_word(event_pb2.CostState.Name(event.cost.state), "COST_STATE_"),
        cost_usd=None if cost is None else usd_text(cost, PICOUSD_PER_USD),
        price_version=event.cost.price_version,
        native_finish_reason=event.native_finish_reason,
        response_model=event.response_model,
        response_id=event.response_id,
        system_fingerprint=event.system_fingerprint,
        upstream_request_id=event.upstream_request_id,
        upstream_status=event.upstream_status,
        recorder=recorder_from_proto(event.recorder),
        raw_usage=_document(event.raw_usage),
    )


def _document(raw: bytes) -> object:
    try:
        document: object = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        # no report, or one that was cut
        return None
    return document


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()
