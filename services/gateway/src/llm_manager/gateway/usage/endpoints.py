"""Admin API of reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Request

from llm_manager.gateway.access.endpoints import admin_router
from llm_manager.gateway.access.rules import Permission
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.fields import Absent, Moment
from llm_manager.gateway.usage.rules import EventPage, OrderBy, Range, TopBy
from llm_manager.gateway.usage.schemas import EventsView, EventView, TopRowView, TopView, TotalsView, TotalView
from llm_manager.gateway.usage.service import UsageReports

REPORTS: Built[UsageReports] = Built("usage")
router = admin_router("usage", "Usage", needs=Permission.STATS_VIEW)


def _within(
    start: Annotated[Moment | Absent, Query(alias="from", description="First instant, inclusive.")] = None,
    end: Annotated[Moment | Absent, Query(alias="to", description="Last instant, exclusive.")] = None,
    request_id: Annotated[str, Query(max_length=128, description="Only this request.")] = "",
) -> Range:
    return Range(start=start, end=end, request_id=request_id)


Within = Annotated[Range, Depends(_within)]
Limit = Annotated[int, Query(ge=1, le=1000)]
PageToken = Annotated[str, Query(max_length=1000)]


@router.get("/top")
async def top_usage(
    request: Request, within: Within, *, by: TopBy = TopBy.MODEL, order: OrderBy = OrderBy.COST, limit: Limit = 10
) -> TopView:
    """Sum usage and cost by one dimension, largest first."""
    rows = await REPORTS.of(request).top(by, order=order, limit=limit, within=within)
    return TopView(data=[TopRowView.model_validate(row) for row in rows])


@router.get("/total")
async def total_usage(request: Request, within: Within) -> TotalView:
    """Sum usage and cost of everything in the range."""
    return TotalView(data=TotalsView.model_validate(await REPORTS.of(request).total(within)))


@router.get("/events")
async def list_usage_events(
    request: Request,
    within: Within,
    *,
    limit: Limit = 100,
    page_token: PageToken = "",
) -> EventsView:
    """List attempts, newest first, page by page."""
    return _view(await REPORTS.of(request).events(limit=limit, page_token=page_token, within=within))


@router.get("/errors")
async def list_usage_errors(
    request: Request,
    within: Within,
    *,
    limit: Limit = 100,
    page_token: PageToken = "",
) -> EventsView:
    """List attempts that failed or were cancelled, newest first, page by page."""
    within = replace(within, is_failed_only=True)
    return _view(await REPORTS.of(request).events(limit=limit, page_token=page_token, within=within))


def _view(page: EventPage) -> EventsView:
    return EventsView(
        data=[EventView.model_validate(event) for event in page.events], next_page_token=page.next_page_token
    )
