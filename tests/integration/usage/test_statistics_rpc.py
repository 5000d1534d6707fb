"""UsageService over a real channel: mapping, limits, typed errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from usage_events import BOOKS

from llm_manager.contracts.usage.v1 import event_pb2, usage_service_pb2, usage_service_pb2_grpc
from llm_manager.core.errors import InvalidRequest
from llm_manager.core.usage import Usage
from llm_manager.kit import rpc
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.ledger.events_wire import from_proto
from llm_manager.usage.ledger.rules import examine
from llm_manager.usage.ledger.store import LedgerStore
from llm_manager.usage.statistics.rpc import SERVICE_NAME, UsageServicer
from llm_manager.usage.statistics.store import StatisticsStore

MakeEvent = Callable[..., event_pb2.UsageRecorded]
if TYPE_CHECKING:
    # the generated code has this class for type checkers only
    from llm_manager.contracts.usage.v1.usage_service_pb2_grpc import UsageServiceAsyncStub as Stub
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def stub(clickhouse: ClickHouse) -> AsyncGenerator[Stub]:
    """A client of a running UsageService over the test's ledger."""
    register = partial(
        usage_service_pb2_grpc.add_UsageServiceServicer_to_server, UsageServicer(StatisticsStore(clickhouse))
    )
    async with (
        rpc.server(host="127.0.0.1", port=0, token="secret", services=[register], service_names=[SERVICE_NAME]) as port,
        rpc.channel(f"127.0.0.1:{port}", token="secret") as channel,
    ):
        yield usage_service_pb2_grpc.UsageServiceStub(channel)


def between(first: Timestamp | None = None, last: Timestamp | None = None) -> usage_service_pb2.Filter:
    # `from` is a word of Python, so the field can only be had by its name
    wanted = usage_service_pb2.Filter(to=last)
    if first is not None:
        getattr(wanted, "from").CopyFrom(first)
    return wanted


def top(dimension: int, *, order_by: int = 0, limit: int = 0) -> usage_service_pb2.TopRequest:
    """A request that may hold numbers of no enum, as a foreign client can send them."""
    request = usage_service_pb2.TopRequest(limit=limit)
    setattr(request, "dimension", dimension)  # noqa: B010 (an int where the stubs want a member)
    setattr(request, "order_by", order_by)  # noqa: B010
    return request


async def write(clickhouse: ClickHouse, *events: event_pb2.UsageRecorded) -> None:
    now = AT + timedelta(hours=1)
    attempts = [examine(from_proto(event), now=now, books=BOOKS) for event in events]
    await LedgerStore(clickhouse).write(attempts)


async def test_events_come_back_as_they_were_recorded(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    own_words = make_event(at=AT, kind="openrouter", upstream_model="x/y", reported_cost_usd="0.0001")
    unpriced = make_event(at=AT - timedelta(seconds=1), upstream_model="of-tomorrow", raw_usage='{"ä":1}'.encode())
    failed = make_event(at=AT - timedelta(seconds=2), usage=Usage(), error_code="upstream_timeout", upstream_status=504)
    failed.state, failed.usage_source = event_pb2.ATTEMPT_STATE_ERROR, event_pb2.USAGE_SOURCE_NONE
    failed.ClearField("time_to_first_token_ms")
    await write(clickhouse, failed, own_words, unpriced)

    answer = await stub.ListEvents(usage_service_pb2.ListEventsRequest(), timeout=5)

    assert list(answer.events) == [own_words, unpriced, failed]
    assert answer.next_page_token == ""


async def test_failed_attempts_are_listed_and_summed_by_themselves(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    failed = make_event(at=AT, seed=1, error_code="upstream_timeout", upstream_status=504)
    failed.state = event_pb2.ATTEMPT_STATE_ERROR
    await write(clickhouse, failed, make_event(at=AT, seed=2))
    only = usage_service_pb2.Filter(failed_only=True)

    listed = await stub.ListEvents(usage_service_pb2.ListEventsRequest(filter=only), timeout=5)
    total = await stub.Total(usage_service_pb2.TotalRequest(filter=only), timeout=5)

    assert [(event.error_code, event.upstream_status) for event in listed.events] == [("upstream_timeout", 504)]
    assert (total.totals.attempts, total.totals.failed_attempts) == (1, 1)


async def test_pages_follow_their_tokens_to_the_end(clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent) -> None:
    await write(clickhouse, *(make_event(at=AT, seed=number) for number in range(5)))

    sizes: list[int] = []
    seen: set[str] = set()
    token = ""
    while not sizes or token:
        page = await stub.ListEvents(usage_service_pb2.ListEventsRequest(page_size=2, page_token=token), timeout=5)
        sizes.append(len(page.events))
        seen |= {event.event_id for event in page.events}
        token = page.next_page_token

    assert (sizes, len(seen)) == ([2, 2, 1], 5)


async def test_money_has_twelve_places_and_unknown_money_is_counted(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    await write(clickhouse, make_event(at=AT), make_event(at=AT, upstream_model="of-tomorrow"))

    request = usage_service_pb2.TopRequest(dimension=usage_service_pb2.DIMENSION_UPSTREAM_MODEL)
    rows = {row.key: row.totals for row in (await stub.Top(request, timeout=5)).rows}

    assert (rows["gpt-4o-mini"].cost_usd, rows["gpt-4o-mini"].unpriced_attempts) == ("0.000006225000", 0)
    assert (rows["of-tomorrow"].cost_usd, rows["of-tomorrow"].unpriced_attempts) == ("0.000000000000", 1)


@pytest.mark.requirement("L-2")
async def test_a_streamed_call_of_an_alias_costs_what_its_upstream_model_costs(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    """The provider may even repeat the alias as its response model: the price is that of the model that was asked."""
    names = {"requested_model": "my-alias", "response_model": "my-alias"}
    await write(clickhouse, *(make_event(at=AT, seed=n, is_stream=bool(n), **names) for n in (0, 1)))

    request = usage_service_pb2.TopRequest(dimension=usage_service_pb2.DIMENSION_REQUESTED_MODEL)
    rows = [(row.key, row.totals.cost_usd) for row in (await stub.Top(request, timeout=5)).rows]

    assert rows == [("my-alias", "0.000012450000")]


async def test_bounds_between_two_milliseconds_belong_to_the_later_one(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    await write(clickhouse, make_event(at=AT))
    just_after = Timestamp(seconds=int(AT.timestamp()), nanos=500_000)

    until = usage_service_pb2.TotalRequest(filter=between(last=just_after))
    since = usage_service_pb2.TotalRequest(filter=between(first=just_after))

    assert (await stub.Total(until, timeout=5)).totals.attempts == 1
    assert (await stub.Total(since, timeout=5)).totals.attempts == 0


async def test_the_whole_range_of_instants_can_be_asked_for(
    clickhouse: ClickHouse, stub: Stub, make_event: MakeEvent
) -> None:
    await write(clickhouse, make_event(at=AT))
    first, last = Timestamp(), Timestamp()
    first.FromDatetime(datetime(1, 1, 1, tzinfo=UTC))
    last.FromDatetime(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    request = usage_service_pb2.TotalRequest(filter=between(first, last))

    assert (await stub.Total(request, timeout=5)).totals.attempts == 1


BAD_REQUESTS = (
    ("Top", top(0), "dimension"),
    ("Top", top(99), "dimension"),
    ("Top", top(1, order_by=99), "order_by"),
    ("Top", top(1, limit=1001), "limit"),
    ("ListEvents", usage_service_pb2.ListEventsRequest(page_size=1001), "page_size"),
    ("ListEvents", usage_service_pb2.ListEventsRequest(page_token="nonsense"), "page_token"),
    ("ListEvents", usage_service_pb2.ListEventsRequest(page_token="AAAA"), "page_token"),
    ("Total", usage_service_pb2.TotalRequest(filter=between(last=Timestamp(seconds=10**17))), "filter.to"),
    ("Total", usage_service_pb2.TotalRequest(filter=between(Timestamp(seconds=2), Timestamp(seconds=1))), "filter.to"),
    ("Total", usage_service_pb2.TotalRequest(filter=usage_service_pb2.Filter(app_ids=["a"] * 1001)), "filter.app_ids"),
)


@pytest.mark.parametrize(("method", "request_message", "param"), BAD_REQUESTS)
async def test_what_cannot_be_answered_is_refused_with_the_field_at_fault(
    stub: Stub, method: str, request_message: object, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal, rpc.rpc_errors():
        await getattr(stub, method)(request_message, timeout=5)

    assert refusal.value.param == param
