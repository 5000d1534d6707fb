"""What the ledger believes, what it flags, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_events import BOOKS

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.ids import uuid7
from llm_manager.core.prices import CostState, PriceBook
from llm_manager.core.usage import AttemptState, Usage, UsageSource
from llm_manager.kit.wire.accounts import cost_to_proto
from llm_manager.usage.ledger.events_wire import decode, from_proto, to_proto
from llm_manager.usage.ledger.rules import (
    Defect,
    UnusableEventError,
    examine,
    parse_event_id,
    rank,
    time_of,
)

MakeEvent = Callable[..., event_pb2.UsageRecorded]
Change = Callable[[event_pb2.UsageRecorded], None]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def event(make_event: MakeEvent) -> event_pb2.UsageRecorded:
    return make_event(at=NOW - timedelta(seconds=3))


def test_a_good_event_has_no_defects_and_survives_both_ways(event: event_pb2.UsageRecorded) -> None:
    attempt = examine(decode(event.SerializeToString()), now=NOW, books=BOOKS)

    assert attempt.defects == ()
    assert to_proto(attempt) == event


@pytest.mark.parametrize(
    ("usage", "fields"),
    [
        (Usage(), {"usage_source": event_pb2.USAGE_SOURCE_NONE, "upstream_status": 429}),
        (Usage(requests=1), {"usage_source": event_pb2.USAGE_SOURCE_NONE}),
        (Usage(input_uncached=1), {"usage_source": event_pb2.USAGE_SOURCE_ESTIMATED}),
    ],
)
def test_what_workers_really_send_is_no_defect(make_event: MakeEvent, usage: Usage, fields: dict[str, int]) -> None:
    event = make_event(at=NOW, usage=usage, **fields)

    assert examine(from_proto(event), now=NOW, books=BOOKS).defects == ()


def _set(**fields: object) -> Change:
    def change(event: event_pb2.UsageRecorded) -> None:
        for name, value in fields.items():
            setattr(event, name, value)

    return change


def _cost(**fields: object) -> Change:
    def change(event: event_pb2.UsageRecorded) -> None:
        for name, value in fields.items():
            setattr(event.cost, name, value)

    return change


def _swap_amounts(event: event_pb2.UsageRecorded) -> None:
    first, second = event.cost.lines[0], event.cost.lines[1]
    first.amount_picousd, second.amount_picousd = second.amount_picousd, first.amount_picousd


def _negative_line(event: event_pb2.UsageRecorded) -> None:
    event.cost.lines[0].amount_picousd = -5


def _line_missing(event: event_pb2.UsageRecorded) -> None:
    event.cost.total_picousd -= event.cost.lines.pop().amount_picousd


def _line_twice(event: event_pb2.UsageRecorded) -> None:
    event.cost.lines.append(event.cost.lines[0])
    event.cost.total_picousd += event.cost.lines[0].amount_picousd


def _reported_with_lines(event: event_pb2.UsageRecorded) -> None:
    event.cost.state = event_pb2.COST_STATE_REPORTED


def _no_total(event: event_pb2.UsageRecorded) -> None:
    event.cost.ClearField("total_picousd")


def _dearer(event: event_pb2.UsageRecorded) -> None:
    """Everything adds up, at a rate that is not the book's."""
    del event.cost.lines[:]
    for bucket, quantity in (("input_uncached", 12), ("cache_read", 3), ("output_text", 7)):
        event.cost.lines.add(
            bucket=bucket, quantity=quantity, rate_picousd_per_million=1_000_000, amount_picousd=quantity
        )
    event.cost.total_picousd = 22


def _of_another_model(event: event_pb2.UsageRecorded) -> None:
    event.upstream_model = "gpt-4o"


MONEY_DEFECTS = (
    (_cost(state=0), Defect.COST_STATE_MISSING),
    (_cost(state=99), Defect.COST_STATE_MISSING),
    (_cost(state=event_pb2.COST_STATE_UNPRICED), Defect.COST_STATE_CONTRADICTS_TOTAL),
    (_no_total, Defect.COST_STATE_CONTRADICTS_TOTAL),
    (_reported_with_lines, Defect.COST_STATE_CONTRADICTS_TOTAL),
    (_cost(total_picousd=-1), Defect.COST_NEGATIVE),
    (_negative_line, Defect.COST_NEGATIVE),
    (_cost(total_picousd=1), Defect.TOTAL_IS_NOT_SUM_OF_LINES),
    (_swap_amounts, Defect.LINE_IS_NOT_QUANTITY_TIMES_RATE),
    (_line_missing, Defect.LINES_DO_NOT_MATCH_USAGE),
    (_line_twice, Defect.LINES_DO_NOT_MATCH_USAGE),
    (_dearer, Defect.LINES_DO_NOT_MATCH_PRICES),
    (_of_another_model, Defect.LINES_DO_NOT_MATCH_PRICES),
)


@pytest.mark.requirement("L-3")
@pytest.mark.parametrize(("change", "defect"), MONEY_DEFECTS)
def test_money_that_contradicts_itself_becomes_unknown(
    event: event_pb2.UsageRecorded, change: Change, defect: Defect
) -> None:
    change(event)

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert attempt.defects == (defect,)
    assert (attempt.money.state, attempt.money.total_picousd, attempt.money.lines) == (CostState.UNPRICED, None, ())
    assert attempt.usage == Usage(input_uncached=12, cache_read=3, output_text=7, requests=1)


@pytest.mark.requirement("L-3")
def test_a_long_prompt_at_the_rates_of_a_short_one_is_not_believed(make_event: MakeEvent, book: PriceBook) -> None:
    long = Usage(input_uncached=372_000, output_text=10, requests=1)
    event = make_event(at=NOW, usage=long, upstream_model="gpt-5.5")
    assert examine(from_proto(event), now=NOW, books=BOOKS).defects == ()
    untiered = PriceBook(book.version, [replace(price, context_tiers=()) for price in book.prices])
    event.cost.CopyFrom(cost_to_proto(untiered.cost_of(long, kind="openai", model="gpt-5.5", at=NOW)))

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert (attempt.defects, attempt.money.total_picousd) == ((Defect.LINES_DO_NOT_MATCH_PRICES,), None)


def test_lines_may_come_in_any_order(event: event_pb2.UsageRecorded) -> None:
    lines = list(event.cost.lines)
    del event.cost.lines[:]
    event.cost.lines.extend(reversed(lines))

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert (attempt.defects, attempt.money.total_picousd) == ((), event.cost.total_picousd)


def test_a_cost_by_a_book_that_nobody_knows_stays_and_says_so(event: event_pb2.UsageRecorded) -> None:
    event.cost.price_version = "somebody-else-s"

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert attempt.defects == (Defect.PRICE_VERSION_UNKNOWN,)
    assert (attempt.money.state, attempt.money.total_picousd) == (CostState.PRICED, event.cost.total_picousd)


@pytest.mark.requirement("L-4")
@pytest.mark.parametrize(
    ("source", "defect"),
    [(0, Defect.USAGE_SOURCE_MISSING), (event_pb2.USAGE_SOURCE_NONE, Defect.USAGE_WITHOUT_SOURCE)],
)
def test_counts_of_no_stated_source_are_kept_as_unknown_and_unpriced(
    event: event_pb2.UsageRecorded, source: int, defect: Defect
) -> None:
    _set(usage_source=source)(event)

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert attempt.defects == (defect, Defect.PRICED_WITHOUT_COUNTS)
    assert (attempt.usage_source, attempt.usage.output_text) == (UsageSource.UNKNOWN, 7)


def test_what_nobody_counted_has_no_known_cost(make_event: MakeEvent) -> None:
    event = make_event(at=NOW, usage=Usage(requests=1), usage_source=event_pb2.USAGE_SOURCE_UNKNOWN)

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert event.cost.state == event_pb2.COST_STATE_PRICED
    assert (attempt.defects, attempt.money.total_picousd) == ((Defect.PRICED_WITHOUT_COUNTS,), None)


OTHER_DEFECTS = (
    (_set(state=0), Defect.STATE_MISSING),
    (_set(state=event_pb2.ATTEMPT_STATE_ERROR), Defect.ERROR_WITHOUT_CODE),
    (_set(error_code="upstream_timeout"), Defect.OK_WITH_ERROR_CODE),
    (_set(time_to_first_token_ms=901), Defect.FIRST_TOKEN_AFTER_END),
    (_set(raw_usage=b"\xff"), Defect.RAW_USAGE_NOT_TEXT),
    (_set(raw_usage=b" " * 65_537), Defect.RAW_USAGE_TOO_LONG),
)


@pytest.mark.requirement("L-4")
@pytest.mark.parametrize(("change", "defect"), OTHER_DEFECTS)
def test_an_event_with_a_defect_is_flagged_and_keeps_its_cost(
    event: event_pb2.UsageRecorded, change: Change, defect: Defect
) -> None:
    change(event)

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert attempt.defects == (defect,)
    assert attempt.money.total_picousd == event.cost.total_picousd
    assert attempt.state is not None
    assert attempt.usage_source is not None


@pytest.mark.parametrize("shift", [timedelta(days=-2), timedelta(days=2), timedelta(days=-365 * 57)])
def test_a_start_far_from_the_id_is_replaced_by_the_ids_time(event: event_pb2.UsageRecorded, shift: timedelta) -> None:
    event.started_at.FromDatetime(event.started_at.ToDatetime(tzinfo=UTC) + shift)

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert (attempt.defects, attempt.started_at) == ((Defect.STARTED_AT_FAR_FROM_ID,), attempt.attempted_at)


@pytest.mark.parametrize("counts", ["usage", "billed_usage"])
def test_counts_that_nobody_can_have_used_are_unknown_and_wrap_no_sum(
    event: event_pb2.UsageRecorded, counts: str
) -> None:
    getattr(event, counts).output_text = 2**64 - 1

    attempt = examine(from_proto(event), now=NOW, books=BOOKS)

    assert attempt.defects == (Defect.COUNTS_IMPLAUSIBLE,)
    assert (attempt.usage, attempt.usage_source) == (Usage(), UsageSource.UNKNOWN)
    assert attempt.money.total_picousd is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set(event_id="attempt-1"), "event_id_is_no_uuid"),
        (_set(event_id=str(uuid4())), "event_id_is_no_uuid7"),
        (_set(app_id=""), "app_id_is_empty"),
        (_set(event_id="1f000000-0000-7000-8000-000000000000"), "event_id_is_of_the_future"),
        (_set(event_id="0190a000-0000-7000-8000-000000000000"), "event_id_is_beyond_retention"),
    ],
)
def test_an_event_that_has_no_place_in_the_ledger_is_refused(
    event: event_pb2.UsageRecorded, change: Change, reason: str
) -> None:
    change(event)

    with pytest.raises(UnusableEventError, match=f"^{reason}$"):
        examine(from_proto(event), now=NOW, books=BOOKS)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_attempt_or_a_reason(data: bytes) -> None:
    try:
        verdict = str(examine(decode(data), now=NOW, books=BOOKS).state)
    except UnusableEventError as reason:
        verdict = str(reason)

    assert verdict.isidentifier()
    assert verdict != "None"


def test_the_id_says_when_the_attempt_was_made() -> None:
    before = datetime.now(UTC)
    made_at = time_of(parse_event_id(uuid7()))

    assert before - timedelta(milliseconds=1) <= made_at <= datetime.now(UTC)
    assert time_of(UUID("0198a1b2-0000-7abc-8def-000000000001")) == datetime(
        2025, 8, 13, 4, 30, 53, 952_000, tzinfo=UTC
    )


def test_records_rank_by_what_their_writer_knew(make_event: MakeEvent) -> None:
    def ranked(source: int, **fields: object) -> int:
        return rank(examine(from_proto(make_event(at=NOW, usage_source=source, **fields)), now=NOW, books=BOOKS))

    def substitute(source: int, recorder: int) -> int:
        fields = {"state": event_pb2.ATTEMPT_STATE_ERROR, "error_code": "worker_lost", "recorder": recorder}
        event = make_event(at=NOW, usage_source=source, **fields)
        event.cost.CopyFrom(event_pb2.Cost(state=event_pb2.COST_STATE_UNPRICED))
        return rank(examine(from_proto(event), now=NOW, books=BOOKS))

    order = [
        substitute(event_pb2.USAGE_SOURCE_UNKNOWN, event_pb2.RECORDER_RECONCILER),
        substitute(event_pb2.USAGE_SOURCE_UNKNOWN, event_pb2.RECORDER_GATEWAY),
        substitute(event_pb2.USAGE_SOURCE_ESTIMATED, event_pb2.RECORDER_GATEWAY),
        ranked(event_pb2.USAGE_SOURCE_UNKNOWN, usage=Usage(requests=1)),
        ranked(event_pb2.USAGE_SOURCE_ESTIMATED),
        ranked(event_pb2.USAGE_SOURCE_PROVIDER),
    ]

    assert order == sorted(set(order))
    assert AttemptState("cache_hit") is AttemptState.CACHE_HIT
