"""UsageService over gRPC."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from llm_manager.contracts.usage.v1 import event_pb2, usage_service_pb2, usage_service_pb2_grpc
from llm_manager.core.errors import InvalidRequest
from llm_manager.core.usage import BUCKETS
from llm_manager.usage.ledger.events_wire import to_proto
from llm_manager.usage.statistics.rules import (
    DEFAULT_GROUPS,
    DEFAULT_PAGE,
    EARLIEST,
    LATEST,
    MAX_GROUPS,
    MAX_PAGE,
    Dimension,
    Filter,
    OrderBy,
    Position,
    Totals,
    checked_filter,
    checked_limit,
)
from llm_manager.usage.statistics.store import StatisticsStore

SERVICE_NAME = "llm_manager.contracts.usage.v1.UsageService"

_DIMENSIONS = {
    usage_service_pb2.DIMENSION_UPSTREAM_MODEL: Dimension.UPSTREAM_MODEL,
    usage_service_pb2.DIMENSION_REQUESTED_MODEL: Dimension.REQUESTED_MODEL,
    usage_service_pb2.DIMENSION_PROVIDER: Dimension.PROVIDER,
    usage_service_pb2.DIMENSION_APP: Dimension.APP,
    usage_service_pb2.DIMENSION_API_KEY: Dimension.API_KEY,
    usage_service_pb2.DIMENSION_STATE: Dimension.STATE,
}
_ORDERS = {
    usage_service_pb2.ORDER_BY_UNSPECIFIED: OrderBy.COST,
    usage_service_pb2.ORDER_BY_COST: OrderBy.COST,
    usage_service_pb2.ORDER_BY_TOKENS: OrderBy.TOKENS,
    usage_service_pb2.ORDER_BY_ATTEMPTS: OrderBy.ATTEMPTS,
}
_Context = Any  # grpc.aio.ServicerContext is generic over both messages and gives nothing that is used here


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    """Parses, asks the store, maps. Errors of the tree become statuses in kit.rpc."""

    def __init__(self, store: StatisticsStore) -> None:
        self._store = store

    async def Top(  # noqa: N802 (the name is the contract's)
        self,
        request: usage_service_pb2.TopRequest,
        context: _Context,  # noqa: ARG002 (gRPC passes it)
    ) -> usage_service_pb2.TopResponse:
        """Sum usage and cost by one dimension, largest first."""
        dimension, order_by = _DIMENSIONS.get(request.dimension), _ORDERS.get(request.order_by)
        if dimension is None:
            raise InvalidRequest("dimension says what to group by and must be set to a known value.", param="dimension")
        if order_by is None:
            raise InvalidRequest(f"order_by {request.order_by} is not known.", param="order_by")
        limit = checked_limit(request.limit, default=DEFAULT_GROUPS, maximum=MAX_GROUPS, param="limit")
        groups = await self._store.top(_filter(request.filter), dimension=dimension, order_by=order_by, limit=limit)
        rows = [usage_service_pb2.TopRow(key=key, totals=_totals(totals)) for key, totals in groups]
        return usage_service_pb2.TopResponse(rows=rows)

    async def Total(  # noqa: N802 (the name is the contract's)
        self,
        request: usage_service_pb2.TotalRequest,
        context: _Context,  # noqa: ARG002 (gRPC passes it)
    ) -> usage_service_pb2.TotalResponse:
        """Sum usage and cost of everything that the filter lets through."""
        return usage_service_pb2.TotalResponse(totals=_totals(await self._store.total(_filter(request.filter))))

    async def ListEvents(  # noqa: N802 (the name is the contract's)
        self,
        request: usage_service_pb2.ListEventsRequest,
        context: _Context,  # noqa: ARG002 (gRPC passes it)
    ) -> usage_service_pb2.ListEventsResponse:
        """Return one page of events, newest first."""
        size = checked_limit(request.page_size, default=DEFAULT_PAGE, maximum=MAX_PAGE, param="page_size")
        after = Position.from_token(request.page_token) if request.page_token else None
        # one more than wanted tells whether there is a next page
        found = await self._store.page(_filter(request.filter), after=after, limit=size + 1)
        page = found[:size]
        token = Position(page[-1].started_at, page[-1].event_id).to_token() if len(found) > size else ""
        return usage_service_pb2.ListEventsResponse(events=map(to_proto, page), next_page_token=token)


def _filter(message: usage_service_pb2.Filter) -> Filter:
    # `from` is a word of Python, so the field can only be had by its name
    from_time = _instant(getattr(message, "from"), "filter.from") if message.HasField("from") else EARLIEST
    to_time = _instant(message.to, "filter.to") if message.HasField("to") else LATEST
    wanted = Filter(from_time, to_time, tuple(message.app_ids), message.request_id, message.failed_only)
    return checked_filter(wanted)


def _instant(timestamp: Timestamp, param: str) -> datetime:
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{param} is no instant between the years 1 and 9999.", param=param) from error


def _totals(totals: Totals) -> usage_service_pb2.Totals:
    return usage_service_pb2.Totals(
        attempts=totals.attempts,
        failed_attempts=totals.failed_attempts,
        usage=event_pb2.Usage(**{name: getattr(totals.usage, name) for name in BUCKETS}),
        cost_usd=_twelve_places(totals.cost_usd),
        unpriced_attempts=totals.unpriced_attempts,
        estimated_attempts=totals.estimated_attempts,
    )


def _twelve_places(usd: Decimal) -> str:
    return f"{usd:.12f}"
