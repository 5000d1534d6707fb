"""Stored responses in a real database: whose they are, how long they last, how large they may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_manager.core.errors import InvalidRequest, NotFound, PreviousResponseNotFound, StoreUnavailable
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.ingress.responses.service import StoredResponses
from llm_manager.gateway.ingress.responses.store import LONGEST_CHAIN, ResponseStore
from llm_manager.gateway.ingress.responses.turn import Turn
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database, open_database
from llm_manager.kit.sql_migrations import migrate

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BOX = SecretBox(b"k" * 32)


class Clock:
    """A time that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
async def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("responses") / "gateway.db"
    await migrate(f"sqlite+aiosqlite:///{path}", MIGRATIONS)
    return path


@pytest.fixture
async def database(migrated: Path) -> AsyncGenerator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{migrated}") as opened:
        async with opened.session() as session:
            await session.execute(text("DELETE FROM stored_responses"))
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def responses(database: Database, clock: Clock) -> StoredResponses:
    store = ResponseStore(database, BOX)
    return StoredResponses(store, retention=DAY, max_history_bytes=2_000, max_bytes=1_000, clock=clock)


def _turn(name: str = "resp_1", *, app_id: str = "a", previous: str = "", response: bytes = b"{}") -> Turn:
    return Turn(
        id=name,
        app_id=app_id,
        previous_id=previous,
        model="m",
        provider="p",
        is_upstream=True,
        created_at=NOW,
        expires_at=NOW + DAY,
        input=b'"Hi"',
        response=response,
    )


async def _count(database: Database) -> int:
    async with database.session(read_only=True) as session:
        return (await session.execute(text("SELECT count(*) FROM stored_responses"))).scalar_one()


async def test_what_is_kept_is_read_as_it_was(responses: StoredResponses) -> None:
    turn = _turn(response=b'{"id":"resp_1","n":1.50}')
    assert await responses.keep(turn)
    assert await responses.get("a", "resp_1") == turn
    assert await responses.find("a", "resp_2") is None


async def test_a_response_belongs_to_its_app_alone(responses: StoredResponses) -> None:
    await responses.keep(_turn())
    await responses.keep(_turn(app_id="b", response=b'{"b":1}'))
    assert (await responses.get("b", "resp_1")).response == b'{"b":1}'
    await responses.delete("b", "resp_1")
    for reads in (responses.get, responses.read_by_model, responses.delete, responses.cancel):
        with pytest.raises(NotFound):
            await reads("b", "resp_1")
    with pytest.raises(PreviousResponseNotFound):
        await responses.history("b", "resp_1")
    assert await responses.get("a", "resp_1") == _turn()


async def test_what_is_over_is_gone_before_it_is_purged(
    responses: StoredResponses, database: Database, clock: Clock
) -> None:
    await responses.keep(_turn())
    await responses.keep(replace(_turn("resp_2"), expires_at=NOW + 2 * DAY))
    clock.now = NOW + DAY
    with pytest.raises(NotFound):
        await responses.get("a", "resp_1")
    with pytest.raises(NotFound):
        await responses.delete("a", "resp_1")
    assert await _count(database) == 2
    assert await responses.purge() == 1
    assert await _count(database) == 1
    assert (await responses.get("a", "resp_2")).id == "resp_2"
    assert responses.expiry(NOW) == NOW + DAY


async def test_purging_goes_on_until_nothing_is_left(database: Database, clock: Clock) -> None:
    store = ResponseStore(database, BOX)
    for number in range(5):
        await store.save(_turn(f"resp_{number}"))
    later = NOW + DAY
    assert [await store.purge(now=later, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_the_purge_runs_by_itself(responses: StoredResponses, database: Database, clock: Clock) -> None:
    await responses.keep(_turn())
    clock.now = NOW + DAY
    async with asyncio.timeout(30), responses.purging(every_seconds=0.001):
        while await _count(database):  # noqa: ASYNC110 (nobody signals it)
            await asyncio.sleep(0.001)
    assert await _count(database) == 0


async def test_a_chain_is_read_from_its_beginning(responses: StoredResponses) -> None:
    turns = [_turn(), _turn("resp_2", previous="resp_1"), _turn("resp_3", previous="resp_2")]
    for turn in turns:
        await responses.keep(turn)
    assert await responses.history("a", "resp_3") == turns
    assert await responses.history("a", "resp_2") == turns[:2]
    assert await responses.read_by_model("a", "resp_3") == turns


async def test_a_chain_with_a_hole_cannot_be_gone_on_from_but_is_listed(responses: StoredResponses) -> None:
    await responses.keep(_turn("resp_2", previous="resp_1"))
    await responses.keep(_turn("resp_3", previous="resp_2"))
    with pytest.raises(PreviousResponseNotFound, match="'resp_1'") as caught:
        await responses.history("a", "resp_3")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    assert [turn.id for turn in await responses.read_by_model("a", "resp_3")] == ["resp_2", "resp_3"]


async def test_a_conversation_that_is_too_large_is_refused(responses: StoredResponses) -> None:
    await responses.keep(_turn(response=b"x" * 990))
    await responses.keep(_turn("resp_2", previous="resp_1", response=b"x" * 990))
    with pytest.raises(InvalidRequest, match="compact") as caught:
        await responses.history("a", "resp_2")
    assert caught.value.param == "previous_response_id"


async def test_a_chain_that_is_too_long_is_refused(database: Database, clock: Clock) -> None:
    responses = StoredResponses(ResponseStore(database, BOX), retention=DAY, clock=clock)
    # a ring is the shortest chain without an end
    await responses.keep(_turn("resp_1", previous="resp_2"))
    await responses.keep(_turn("resp_2", previous="resp_1"))
    with pytest.raises(InvalidRequest, match=f"more than {LONGEST_CHAIN} responses"):
        await responses.history("a", "resp_1")


async def test_a_response_that_is_too_large_is_not_stored(responses: StoredResponses, database: Database) -> None:
    assert not await responses.keep(_turn(response=b"x" * 1_000))
    assert await _count(database) == 0


async def test_a_store_that_is_down_loses_the_response_but_not_the_answer(tmp_path: Path, clock: Clock) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/gateway.db") as closed:
        responses = StoredResponses(ResponseStore(closed, BOX), retention=DAY, clock=clock)
        assert not await responses.keep(_turn())
        with pytest.raises(StoreUnavailable):
            await responses.get("a", "resp_1")


async def test_a_response_of_the_same_id_is_replaced(responses: StoredResponses) -> None:
    await responses.keep(_turn())
    await responses.keep(_turn(response=b"[]"))
    assert (await responses.get("a", "resp_1")).response == b"[]"


async def test_what_people_said_is_sealed_at_rest(database: Database, responses: StoredResponses) -> None:
    await responses.keep(_turn(response=b'{"canary":1}'))
    async with database.session(read_only=True) as session:
        row = (await session.execute(text("SELECT input, response FROM stored_responses"))).one()
    assert b"Hi" not in row.input
    assert b"canary" not in row.response
    other = ResponseStore(database, SecretBox(b"o" * 32))
    with pytest.raises(StoreUnavailable, match="master key"):
        await other.get("a", "resp_1", now=NOW)


async def test_cancelling_is_refused_with_a_reason(responses: StoredResponses) -> None:
    await responses.keep(_turn())
    with pytest.raises(InvalidRequest, match="Nothing runs in the background"):
        await responses.cancel("a", "resp_1")


async def test_the_table_can_be_taken_back(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    await migrate(url, MIGRATIONS)
    await migrate(url, MIGRATIONS, direction="down")
    async with open_database(url) as database, database.session(read_only=True) as session:
        names = set((await session.execute(text("SELECT name FROM sqlite_master"))).scalars())
    assert "stored_responses" not in names
