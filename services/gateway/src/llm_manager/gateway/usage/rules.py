"""What a report asks and says; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from llm_manager.core.usage import Usage


class TopBy(StrEnum):
    """What to group by."""

    MODEL = "model"
    REQUESTED_MODEL = "requested_model"
    PROVIDER = "provider"
    APP = "app"
    KEY = "key"
    STATE = "state"


class OrderBy(StrEnum):
    """What to sort by, largest first."""

    COST = "cost"
    TOKENS = "tokens"
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class Range:
    """What to look at: `start` inclusive, `end` exclusive, one request when `request_id` is not empty.

    `is_failed_only` leaves out what ended well or came from the cache.
    """

    start: datetime | None = None
    end: datetime | None = None
    request_id: str = ""
    is_failed_only: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """One sum. `cost_usd` is decimal text, a lower bound when `unpriced_attempts` is above zero."""

    attempts: int
    failed_attempts: int
    usage: Usage
    cost_usd: str
    unpriced_attempts: int
    estimated_attempts: int


@dataclass(frozen=True, slots=True)
class TopRow:
    """One group; `name` is that of the app or key, empty for other groups and where nobody knows it any more."""

    key: str
    totals: Totals
    name: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One attempt. `cost_usd` is decimal text, None when no price is known; `raw_usage` is the provider's report.

    `upstream_status` is 0 when the provider reported none; `app_name` is empty when nobody knows it any more.
    """

    event_id: str
    request_id: str
    attempt: int
    started_at: datetime
    duration_ms: int
    app_id: str
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
    usage: Usage
    usage_source: str
    cost_state: str
    cost_usd: str | None
    price_version: str
    native_finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""
    system_fingerprint: str = ""
    upstream_request_id: str = ""
    upstream_status: int = 0
    recorder: str = ""
    raw_usage: object = None
    app_name: str = ""


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page; `next_page_token` is empty on the last."""

    events: list[Event]
    next_page_token: str


def usd_text(picousd: int, per_usd: int) -> str:
    """Spell pico-dollars as USD with 12 places."""
    return f"{Decimal(picousd) / Decimal(per_usd):.12f}"
