"""HTTP models of reports. Money is decimal text, never a float."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FromAttributes(BaseModel):
    """Built from the values of rules.py, which have the same names."""

    model_config = ConfigDict(from_attributes=True)


class UsageView(FromAttributes):
    """Counts in disjoint buckets: no token is in two of them."""

    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    input_audio: int
    input_image: int
    output_text: int
    output_reasoning: int
    output_audio: int
    output_image: int
    search_units: int
    requests: int
    input_total: int
    output_total: int


class TotalsView(FromAttributes):
    """One sum."""

    attempts: int
    failed_attempts: int
    usage: UsageView
    cost_usd: str = Field(
        description="Decimal USD; a lower bound when unpriced_attempts is above zero.", examples=["0.000123450000"]
    )
    unpriced_attempts: int
    estimated_attempts: int


class TopRowView(FromAttributes):
    """One group."""

    key: str
    name: str = Field(description="Name of the app or key; empty for other groups and when it is not known any more.")
    totals: TotalsView


class TopView(BaseModel):
    """The groups, largest first."""

    data: list[TopRowView]


class TotalView(BaseModel):
    """The sum."""

    data: TotalsView


class EventView(FromAttributes):
    """One attempt at one upstream."""

    event_id: str
    request_id: str
    attempt: int
    started_at: datetime
    duration_ms: int
    app_id: str
    app_name: str = Field(description="Empty when the app is not known any more.")
    api_key_id: str
    requested_model: str
    configuration: str
    provider: str
    upstream_model: str
    operation: str
    is_stream: bool
    state: str
    error_code: str
    finish_reason: str
    usage: UsageView
    usage_source: str
    cost_state: str
    cost_usd: str | None = Field(description="Decimal USD; null when no price is known.")
    price_version: str
    native_finish_reason: str = Field(description="The provider's own word.")
    response_model: str = Field(description="Model that the provider says it used.")
    response_id: str = Field(description="The provider's id of the answer.")
    system_fingerprint: str
    upstream_request_id: str
    upstream_status: int = Field(description="HTTP status of the provider; 0 when it reported none.")
    recorder: str = Field(description="Who wrote the row: worker, gateway (for a lost worker) or reconciler.")
    raw_usage: Any = Field(description="The provider's own report, whatever it holds; null when it gave none.")


class EventsView(BaseModel):
    """One page, newest first; `next_page_token` is empty on the last."""

    data: list[EventView]
    next_page_token: str
