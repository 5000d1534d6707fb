"""Reports over real HTTP and real gRPC, with a usage service that answers as told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from llm_manager.contracts.usage.v1 import event_pb2, usage_service_pb2, usage_service_pb2_grpc
from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.tables import App, Key
from llm_manager.gateway.usage.rules import TopBy
from llm_manager.gateway.usage.store import NameStore
from llm_manager.kit.rpc import server
from llm_manager.kit.sql import open_database

TOKEN = "rpc-token-of-a-test"
ADMIN = ("admin", "seven wet umbrellas in May")
USAGE = event_pb2.Usage(input_uncached=10, cache_read=5, output_text=3, requests=1)
TOTALS = usage_service_pb2.Totals(
    attempts=2, failed_attempts=1, usage=USAGE, cost_usd="0.000123450000", unpriced_attempts=1, estimated_attempts=0
)


class Ledger(usage_service_pb2_grpc.UsageServiceServicer):
    """Answers as told and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.keys = ["gpt"]
        self.app_id = "gone"

    async def Top(self, request: Any, context: Any) -> usage_service_pb2.TopResponse:
        self.asked.append(request)
        rows = [usage_service_pb2.TopRow(key=key, totals=TOTALS) for key in self.keys]
        return usage_service_pb2.TopResponse(rows=rows)

    async def Total(self, request: Any, context: Any) -> usage_service_pb2.TotalResponse:
        self.asked.append(request)
        return usage_service_pb2.TotalResponse(totals=TOTALS)

    async def ListEvents(self, request: Any, context: Any) -> usage_service_pb2.ListEventsResponse:
        self.asked.append(request)
        if request.page_token == "bad":
            raise InvalidRequest("page_token is not one of ours.", param="page_token")
        priced = event_pb2.Cost(state=event_pb2.COST_STATE_PRICED, total_picousd=123_450_000, price_version="v")
        unpriced = event_pb2.Cost(state=event_pb2.COST_STATE_UNPRICED)
        return usage_service_pb2.ListEventsResponse(
            events=[
                _event("e1", event_pb2.ATTEMPT_STATE_OK, priced),
                _event("e2", event_pb2.ATTEMPT_STATE_ERROR, unpriced, app_id=self.app_id, upstream_status=503),
            ],
            next_page_token="next",
        )


def _event(
    event_id: str, state: event_pb2.AttemptState.ValueType, cost: event_pb2.Cost, **more: Any
) -> event_pb2.UsageRecorded:
    return event_pb2.UsageRecorded(
        **more,
        event_id=event_id,
        state=state,
        cost=cost,
        usage=USAGE,
        usage_source=event_pb2.USAGE_SOURCE_PROVIDER,
        started_at=Timestamp(seconds=1_763_942_400),
    )


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def admin(ledger: Ledger, start: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    register = partial(usage_service_pb2_grpc.add_UsageServiceServicer_to_server, ledger)
    names = ["llm_manager.contracts.usage.v1.UsageService"]
    async with (
        server(host="127.0.0.1", port=0, token=TOKEN, services=[register], service_names=names) as port,
        start(usage_address=f"127.0.0.1:{port}", rpc_token=TOKEN) as served,
        httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client,
    ):
        yield client


async def test_reports_are_asked_of_the_ledger_and_money_stays_text(admin: httpx2.AsyncClient, ledger: Ledger) -> None:
    top = await admin.get(
        "/api/v1/usage/top",
        params={
            "by": "provider",
            "order": "tokens",
            "limit": 3,
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00+01:00",
        },
    )
    row = top.json()["data"][0]
    assert (row["key"], row["totals"]["cost_usd"], row["totals"]["usage"]["input_total"]) == (
        "gpt",
        "0.000123450000",
        15,
    )
    asked = ledger.asked[0]
    assert (asked.dimension, asked.order_by, asked.limit) == (
        usage_service_pb2.DIMENSION_PROVIDER,
        usage_service_pb2.ORDER_BY_TOKENS,
        3,
    )
    assert getattr(asked.filter, "from").ToJsonString() == "2026-11-01T00:00:00Z"
    assert asked.filter.to.ToJsonString() == "2026-11-30T23:00:00Z"
    total = await admin.get("/api/v1/usage/total", params={"request_id": "r1"})
    assert total.json()["data"]["unpriced_attempts"] == 1
    assert ledger.asked[1].filter.request_id == "r1"


async def test_events_come_page_by_page(admin: httpx2.AsyncClient, ledger: Ledger) -> None:
    page = (await admin.get("/api/v1/usage/events", params={"limit": 2, "page_token": "t"})).json()
    assert [(item["event_id"], item["state"], item["cost_state"], item["cost_usd"]) for item in page["data"]] == [
        ("e1", "ok", "priced", "0.000123450000"),
        ("e2", "error", "unpriced", None),
    ]
    assert (page["next_page_token"], page["data"][0]["started_at"]) == ("next", "2025-11-24T00:00:00Z")
    assert (ledger.asked[0].page_size, ledger.asked[0].page_token) == (2, "t")


async def test_apps_and_keys_have_names_and_other_groups_and_those_that_are_gone_have_none(
    admin: httpx2.AsyncClient, ledger: Ledger, tmp_path: Path
) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database, database.session() as session:
        app, key = await session.scalar(select(App.id)), await session.scalar(select(Key.id))
        name = await session.scalar(select(Key.name))
    ledger.keys = [str(app), str(key), "gone", ""]
    named: dict[str, list[str]] = {}
    for by in ("app", "key", "model"):
        answer = (await admin.get("/api/v1/usage/top", params={"by": by})).json()
        named[by] = [row["name"] for row in answer["data"]]
    assert named == {"app": ["default", "", "", ""], "key": ["", name, "", ""], "model": [""] * 4}


async def test_errors_are_the_failed_attempts_with_names_and_what_the_provider_answered(
    admin: httpx2.AsyncClient, ledger: Ledger, tmp_path: Path
) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database, database.session() as session:
        ledger.app_id = str(await session.scalar(select(App.id)))
    page = (await admin.get("/api/v1/usage/errors", params={"limit": 2, "page_token": "t"})).json()
    assert (ledger.asked[0].filter.failed_only, ledger.asked[0].page_size, ledger.asked[0].page_token) == (True, 2, "t")
    shown = [(item["app_name"], item["upstream_status"], item["recorder"]) for item in page["data"]]
    assert shown == [("", 0, "worker"), ("default", 503, "worker")]
    assert page["next_page_token"] == "next"
    await admin.get("/api/v1/usage/events")
    assert not ledger.asked[1].filter.failed_only


@pytest.mark.parametrize(
    ("path", "parameters", "param"),
    [
        ("top", {"by": "colour"}, "by"),
        ("top", {"limit": 0}, "limit"),
        ("total", {"from": "yesterday"}, "from"),
        ("total", {"from": "2026-11-01T00:00:00"}, "from"),
        ("events", {"page_token": "bad"}, "page_token"),
    ],
)
async def test_wrong_parameters_are_named(
    path: str, parameters: dict[str, Any], param: str, admin: httpx2.AsyncClient
) -> None:
    answer = await admin.get(f"/api/v1/usage/{path}", params=parameters)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


async def test_a_ledger_that_is_away_is_a_503(start: Any) -> None:
    async with (
        start(usage_address="127.0.0.1:9") as served,
        httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client,
    ):
        away = await client.get("/api/v1/usage/total")
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        off = await client.get("/api/v1/usage/total")
    assert (away.status_code, off.status_code) == (503, 503)
    assert "USAGE_ADDRESS" in off.json()["error"]["message"]


async def test_numbers_are_given_without_names_when_the_database_is_away(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/no-folder/gateway.db") as database:
        assert await NameStore(database).of(TopBy.APP, {"a1"}) == {}
