"""What may be asked of the ledger, and in which words."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.usage import Usage

MAX_GROUPS, DEFAULT_GROUPS = 1_000, 10
MAX_PAGE, DEFAULT_PAGE = 1_000, 100
MAX_APPS = 1_000
# No event lies outside, so these are the same as no bound, and ClickHouse's DateTime64 holds them.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dimension(StrEnum):
    """What Top groups by; the value is the column."""

    UPSTREAM_MODEL = "upstream_model"
    REQUESTED_MODEL = "requested_model"
    PROVIDER = "provider"
    APP = "app_id"
    API_KEY = "api_key_id"
    STATE = "state"


class OrderBy(StrEnum):
    """What Top sorts by."""

    COST = "cost"
    TOKENS = "tokens"
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is summed or listed: `from_time` inclusive, `to_time` exclusive, whole milliseconds; empty means all."""

    from_time: datetime = EARLIEST
    to_time: datetime = LATEST
    app_ids: tuple[str, ...] = ()
    request_id: str = ""
    is_failed_only: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """One exact sum; `cost_usd` is a lower bound when `unpriced_attempts` is above zero."""

    attempts: int
    failed_attempts: int
    unpriced_attempts: int
    estimated_attempts: int
    cost_usd: Decimal
    usage: Usage


@dataclass(frozen=True, slots=True)
class Position:
    """The last event of a page; the next page begins after it."""

    started_at: datetime
    event_id: UUID

    def to_token(self) -> str:
        """Write it as the opaque text that clients hand back."""
        milliseconds = (self.started_at - _EPOCH) // timedelta(milliseconds=1)
        return base64.urlsafe_b64encode(milliseconds.to_bytes(8, "big") + self.event_id.bytes).decode()

    @classmethod
    def from_token(cls, token: str) -> Position:
        """Read it back.

        Raises:
            InvalidRequest: it is not what `to_token` wrote.
        """
        try:
            data = base64.b64decode(token, altchars=b"-_", validate=True)
            started_at = _EPOCH + timedelta(milliseconds=int.from_bytes(data[:8], "big"))
            event_id = UUID(bytes=data[8:])
        except (binascii.Error, ValueError, OverflowError):
            message = "This is no page token; take next_page_token of the page before."
            raise InvalidRequest(message, param="page_token") from None
        return cls(clamp(started_at), event_id)


def clamp(instant: datetime) -> datetime:
    """Return the instant, or the nearest one that any event can have."""
    return min(max(instant, EARLIEST), LATEST)


def whole_milliseconds(instant: datetime) -> datetime:
    """Round up to a millisecond: events have whole ones, so a bound between two of them belongs to the later."""
    return _EPOCH - (_EPOCH - instant) // timedelta(milliseconds=1) * timedelta(milliseconds=1)


def checked_limit(value: int, *, default: int, maximum: int, param: str) -> int:
    """Return how many are wanted; 0 means the default.

    Raises:
        InvalidRequest: more than the maximum.
    """
    if value > maximum:
        raise InvalidRequest(f"{param} is {value}; it may be 1 to {maximum}, or 0 for {default}.", param=param)
    return value or default


def checked_filter(wanted: Filter) -> Filter:
    """Return the filter within the bounds of what can be stored.

    Raises:
        InvalidRequest: it ends before it begins, or names too many apps.
    """
    if wanted.from_time > wanted.to_time:
        raise InvalidRequest(
            f"The filter ends ({wanted.to_time}) before it begins ({wanted.from_time}).", param="filter.to"
        )
    if len(wanted.app_ids) > MAX_APPS:
        raise InvalidRequest(
            f"{len(wanted.app_ids)} apps are named; at most {MAX_APPS} can be.", param="filter.app_ids"
        )
    return Filter(
        clamp(whole_milliseconds(wanted.from_time)),
        clamp(whole_milliseconds(wanted.to_time)),
        wanted.app_ids,
        wanted.request_id,
        wanted.is_failed_only,
    )
