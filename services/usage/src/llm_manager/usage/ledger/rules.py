"""What one attempt is, and what the ledger demands of it.

Three verdicts: a good attempt becomes a row; one that contradicts itself becomes a row that says so (`defects`), with
its money or counts unknown instead of wrong; one that cannot even be identified is refused (`UnusableEventError`).
The original bytes of the second and third kind are kept in usage.rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from llm_manager.core.prices import Cost, CostState, PriceBook, PriceLine
from llm_manager.core.usage import BUCKETS, AttemptState, Recorder, Usage, UsageSource, counts_of

# Nobody uses a trillion tokens in one attempt, and a few counts near 2**64 would wrap every UInt64 sum they are in.
MAX_COUNT = 10**12
MAX_RAW_USAGE_BYTES = 65_536
# Rows older than that are past the retention of usage.events and would vanish at the next merge.
RETENTION = timedelta(days=13 * 30)
# Clocks of the gateway, which makes the id, and of the worker, which says when it started, may differ by less.
MAX_SKEW = timedelta(days=1)


class Defect(StrEnum):
    """What is wrong with a row of the ledger; the row is kept and carries these."""

    STATE_MISSING = "state_missing"
    ERROR_WITHOUT_CODE = "error_without_code"
    OK_WITH_ERROR_CODE = "ok_with_error_code"
    STARTED_AT_FAR_FROM_ID = "started_at_far_from_id"
    FIRST_TOKEN_AFTER_END = "first_token_after_end"  # noqa: S105 - tokens of a model, not a password
    USAGE_SOURCE_MISSING = "usage_source_missing"
    USAGE_WITHOUT_SOURCE = "usage_without_source"
    COUNTS_IMPLAUSIBLE = "counts_implausible"
    RAW_USAGE_NOT_TEXT = "raw_usage_not_text"
    RAW_USAGE_TOO_LONG = "raw_usage_too_long"
    COST_STATE_MISSING = "cost_state_missing"
    COST_STATE_CONTRADICTS_TOTAL = "cost_state_contradicts_total"
    COST_NEGATIVE = "cost_negative"
    TOTAL_IS_NOT_SUM_OF_LINES = "total_is_not_sum_of_lines"
    LINE_IS_NOT_QUANTITY_TIMES_RATE = "line_is_not_quantity_times_rate"
    LINES_DO_NOT_MATCH_USAGE = "lines_do_not_match_usage"
    LINES_DO_NOT_MATCH_PRICES = "lines_do_not_match_prices"
    PRICE_VERSION_UNKNOWN = "price_version_unknown"
    PRICED_WITHOUT_COUNTS = "priced_without_counts"


class UnusableEventError(Exception):
    """The event cannot become a row. `str(error)` is the reason, one of a few fixed words."""


class Money(Struct, frozen=True):
    """Cost of an attempt as its event states it; the total is None when it is absent."""

    state: CostState | None
    total_picousd: int | None
    lines: tuple[PriceLine, ...] = ()
    price_version: str = ""


_UNKNOWN_MONEY = Money(CostState.UNPRICED, None)


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt at one upstream, one row of usage.events. Fields as in proto usage/v1/event.proto.

    `state` and `usage_source` are None when the event did not say; a row never has None there.
    """

    event_id: UUID
    app_id: str
    started_at: datetime
    state: AttemptState | None
    usage: Usage
    usage_source: UsageSource | None
    money: Money
    request_id: str = ""
    attempt: int = 1
    duration_ms: int = 0
    time_to_first_token_ms: int | None = None
    api_key_id: str = ""
    requested_model: str = ""
    configuration: str = ""
    provider: str = ""
    provider_kind: str = ""
    upstream_model: str = ""
    response_model: str = ""
    response_id: str = ""
    system_fingerprint: str = ""
    operation: str = ""
    is_stream: bool = False
    error_code: str = ""
    upstream_status: int = 0
    upstream_request_id: str = ""
    finish_reason: str = ""
    native_finish_reason: str = ""
    raw_usage: bytes = b""
    end_user: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    recorder: Recorder = Recorder.WORKER
    defects: tuple[Defect, ...] = ()
    # What the lines of the cost are made from, where the provider charges other numbers than it counted. Not stored:
    # the lines say it.
    billed: Usage | None = None

    @property
    def charged(self) -> Usage:
        """What the lines of the cost are made from."""
        return self.usage if self.billed is None else self.billed

    @property
    def attempted_at(self) -> datetime:
        """When the attempt's id was made: the same in every copy of the event, unlike `started_at`."""
        return time_of(self.event_id)


def time_of(event_id: UUID) -> datetime:
    """Return the millisecond that a UUIDv7 begins with. Source: RFC 9562, section 5.7."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC)


def parse_event_id(text: str) -> UUID:
    """Return the id of an event.

    Raises:
        UnusableEventError: it is no UUIDv7. The ledger's key is made of its time.
    """
    try:
        event_id = UUID(text)
    except ValueError:
        raise UnusableEventError("event_id_is_no_uuid") from None
    if event_id.version != 7:
        raise UnusableEventError("event_id_is_no_uuid7")
    return event_id


def examine(attempt: Attempt, *, now: datetime, books: Mapping[str, PriceBook]) -> Attempt:
    """Return the attempt as it may stand in the ledger, with its defects named.

    Args:
        books: price books by version; the lines of a cost are compared with the book that the event names. One that
            is not among them cannot be compared with: the cost stays and the row says so.

    Raises:
        UnusableEventError: nobody is charged, or the id lies in the future or beyond the retention.
    """
    if not attempt.app_id:
        raise UnusableEventError("app_id_is_empty")
    attempted_at = attempt.attempted_at
    if attempted_at > now + MAX_SKEW:
        raise UnusableEventError("event_id_is_of_the_future")
    if attempted_at < now - RETENTION:
        raise UnusableEventError("event_id_is_beyond_retention")
    attempt = _settle_times(_settle_state(attempt), attempted_at)
    return _settle_money(_settle_raw_usage(_settle_counts(attempt)), books)


def rank(attempt: Attempt) -> int:
    """Return which of two records of one attempt is better informed: the higher one stays.

    When a worker goes silent the gateway writes a substitute, and the reconciler one when both are gone; the worker's
    own record may still come, and it saw what happened, so it wins whatever its counts come from.
    """
    match attempt.usage_source:
        case UsageSource.PROVIDER:
            source = 4
        case UsageSource.ESTIMATED:
            source = 3
        case UsageSource.NONE:
            source = 2
        case UsageSource.UNKNOWN | None:
            source = 1
    match attempt.recorder:
        case Recorder.WORKER:
            return source + 20
        case Recorder.GATEWAY:
            return source + 10
        case Recorder.RECONCILER:
            return source


def _flag(attempt: Attempt, *defects: Defect) -> Attempt:
    return replace(attempt, defects=(*attempt.defects, *defects)) if defects else attempt


def _settle_state(attempt: Attempt) -> Attempt:
    if attempt.state is None:
        # not OK, so that it shows among the failures, where people look
        return _flag(replace(attempt, state=AttemptState.ERROR), Defect.STATE_MISSING)
    if attempt.state is AttemptState.ERROR and not attempt.error_code:
        return _flag(attempt, Defect.ERROR_WITHOUT_CODE)
    if attempt.state in (AttemptState.OK, AttemptState.CACHE_HIT) and attempt.error_code:
        return _flag(attempt, Defect.OK_WITH_ERROR_CODE)
    return attempt


def _settle_times(attempt: Attempt, attempted_at: datetime) -> Attempt:
    if abs(attempt.started_at - attempted_at) > MAX_SKEW:
        attempt = _flag(replace(attempt, started_at=attempted_at), Defect.STARTED_AT_FAR_FROM_ID)
    if attempt.time_to_first_token_ms is not None and attempt.time_to_first_token_ms > attempt.duration_ms:
        attempt = _flag(attempt, Defect.FIRST_TOKEN_AFTER_END)
    return attempt


def _settle_counts(attempt: Attempt) -> Attempt:
    most = max(counts_of(attempt.usage))
    if attempt.billed is not None:
        most = max(most, *counts_of(attempt.billed))
    if most > MAX_COUNT:
        unknown = replace(attempt, usage=Usage(), billed=None, usage_source=UsageSource.UNKNOWN, money=_UNKNOWN_MONEY)
        return _flag(unknown, Defect.COUNTS_IMPLAUSIBLE)
    if attempt.usage_source is None:
        return _flag(replace(attempt, usage_source=UsageSource.UNKNOWN), Defect.USAGE_SOURCE_MISSING)
    if attempt.usage_source is UsageSource.NONE and attempt.usage != Usage(requests=attempt.usage.requests):
        return _flag(replace(attempt, usage_source=UsageSource.UNKNOWN), Defect.USAGE_WITHOUT_SOURCE)
    return attempt


def _settle_raw_usage(attempt: Attempt) -> Attempt:
    if len(attempt.raw_usage) > MAX_RAW_USAGE_BYTES:
        return _flag(replace(attempt, raw_usage=b""), Defect.RAW_USAGE_TOO_LONG)
    try:
        attempt.raw_usage.decode()
    except UnicodeDecodeError:
        return _flag(replace(attempt, raw_usage=b""), Defect.RAW_USAGE_NOT_TEXT)
    return attempt


def _settle_money(attempt: Attempt, books: Mapping[str, PriceBook]) -> Attempt:
    if _is_as_the_book_says(attempt, books):
        return attempt
    defect = _money_defect(attempt) or _prices_defect(attempt, books)
    if defect is None:
        return attempt
    if defect is Defect.PRICE_VERSION_UNKNOWN:
        return _flag(attempt, defect)
    return _flag(replace(attempt, money=replace(_UNKNOWN_MONEY, price_version=attempt.money.price_version)), defect)


def _is_as_the_book_says(attempt: Attempt, books: Mapping[str, PriceBook]) -> bool:
    """Whether somebody counted, and the cost is to the line what the named book makes of the counts.

    Then no rule below can find a defect, and they need not all be asked: nearly every event ends here.
    """
    money, book = attempt.money, books.get(attempt.money.price_version)
    if book is None or money.state is not CostState.PRICED or attempt.usage_source is UsageSource.UNKNOWN:
        return False
    right = _cost_by(book, attempt)
    return right.state is CostState.PRICED and (right.total_picousd, right.lines) == (money.total_picousd, money.lines)


def _cost_by(book: PriceBook, attempt: Attempt) -> Cost:
    kind, model = attempt.provider_kind, attempt.upstream_model
    return book.cost_of(attempt.charged, kind=kind, model=model, at=attempt.started_at)


def _money_defect(attempt: Attempt) -> Defect | None:
    """Return why the money cannot be believed, None when it can."""
    money, total = attempt.money, attempt.money.total_picousd
    if money.state is None:
        return Defect.COST_STATE_MISSING
    if (money.state is CostState.UNPRICED) != (total is None):
        return Defect.COST_STATE_CONTRADICTS_TOTAL
    if (total or 0) < 0 or any(line.amount_picousd < 0 for line in money.lines):
        return Defect.COST_NEGATIVE
    if money.state is not CostState.PRICED:
        return Defect.COST_STATE_CONTRADICTS_TOTAL if money.lines else None
    if attempt.usage_source is UsageSource.UNKNOWN:
        # what nobody counted has no known cost, least of all zero
        return Defect.PRICED_WITHOUT_COUNTS
    if total != sum(line.amount_picousd for line in money.lines):
        return Defect.TOTAL_IS_NOT_SUM_OF_LINES
    return _lines_defect(attempt)


def _lines_defect(attempt: Attempt) -> Defect | None:
    lines = attempt.money.lines
    if not all(line.adds_up for line in lines):
        return Defect.LINE_IS_NOT_QUANTITY_TIMES_RATE
    billed = {line.bucket: line.quantity for line in lines}
    used = {name: count for name, count in zip(BUCKETS, counts_of(attempt.charged), strict=True) if count}
    # requests are counted for statistics, and have a line only where a price names them
    if "requests" not in billed:
        used.pop("requests", None)
    return None if billed == used and len(billed) == len(lines) else Defect.LINES_DO_NOT_MATCH_USAGE


def _prices_defect(attempt: Attempt, books: Mapping[str, PriceBook]) -> Defect | None:
    """Return what the book that the event names says against its lines."""
    money = attempt.money
    if money.state is not CostState.PRICED or not money.lines:
        # nothing that was used costs nothing, by every book
        return None
    book = books.get(money.price_version)
    if book is None:
        return Defect.PRICE_VERSION_UNKNOWN
    right = _cost_by(book, attempt)
    is_right = (right.state, right.total_picousd) == (money.state, money.total_picousd)
    return None if is_right and set(right.lines) == set(money.lines) else Defect.LINES_DO_NOT_MATCH_PRICES
