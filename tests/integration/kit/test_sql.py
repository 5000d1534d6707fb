import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from llm_manager.core.errors import StoreUnavailable
from llm_manager.kit.sql import Database, open_database

pytest_plugins = ["llm_manager.testing.postgresql"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'control.db'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    async with open_database(url) as opened:
        async with opened.session() as session:
            await session.execute(text("CREATE TABLE apps (id INTEGER PRIMARY KEY, spent INTEGER NOT NULL)"))
            await session.execute(text("CREATE TABLE keys (app_id INTEGER NOT NULL REFERENCES apps (id))"))
            await session.execute(text("INSERT INTO apps VALUES (1, 0)"))
        yield opened


async def spent(database: Database) -> int:
    async with database.session(read_only=True) as session:
        return (await session.execute(text("SELECT spent FROM apps"))).scalar_one()


async def test_a_session_that_ends_is_committed(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("UPDATE apps SET spent = 5"))

    assert await spent(database) == 5


async def test_a_session_that_raises_is_rolled_back(database: Database) -> None:
    async def fail() -> None:
        async with database.session() as session:
            await session.execute(text("UPDATE apps SET spent = 5"))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()

    assert await spent(database) == 0


async def test_references_are_checked(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            await session.execute(text("INSERT INTO keys VALUES (99)"))


async def test_writers_that_read_first_wait_for_each_other_and_lose_nothing(database: Database) -> None:
    async def spend() -> None:
        async with database.session() as session:
            lock = "" if database.is_sqlite else " FOR UPDATE"
            value = (await session.execute(text(f"SELECT spent FROM apps{lock}"))).scalar_one()
            await asyncio.sleep(0.005)
            await session.execute(text("UPDATE apps SET spent = :value"), {"value": value + 1})

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(spend())

    assert await spent(database) == 20


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("UPDATE apps SET spent = 5"))
        async with asyncio.timeout(1):
            assert await spent(database) == 0

    assert await spent(database) == 5


async def test_sqlite_runs_with_the_pragmas_of_a_server(tmp_path: Path) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    url = f"sqlite+aiosqlite:///{tmp_path / 'control.db'}"
    async with open_database(url) as database, database.session(read_only=True) as session:
        pragmas = [(await session.execute(text(f"PRAGMA {name}"))).scalar_one() for name in names]

    assert pragmas == ["wal", 1, 1, 5000]


@pytest.mark.parametrize(
    "url",
    ["sqlite+aiosqlite:////nowhere/control.db", "postgresql+asyncpg://user:hunter22@127.0.0.1:1/db"],
)
async def test_a_database_that_does_not_answer_is_a_typed_error_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="control-plane database does not answer") as caught:
        async with open_database(url) as database, database.session():
            pytest.fail("no session is expected")
    await asyncio.sleep(0.05)  # the driver's thread reports its end to the loop, which must still be there

    assert "hunter22" not in str(caught.value)
    assert caught.value.retryable


async def test_a_wrong_statement_is_not_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.session() as session:
            await session.execute(text("SELECT nothing FROM nowhere"))
