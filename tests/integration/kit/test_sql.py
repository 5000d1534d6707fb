import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError

from llm_manager.core.errors import StoreUnavailable
from llm_manager.kit import sql
from llm_manager.kit.sql import Connecting, Database, NotTriedError, open_database

pytest_plugins = ["llm_manager.testing.postgresql"]


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


async def seconds_until_refused(database: Database) -> float:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"\((?!NotTried)\w+\)"):
        async with database.session():
            pytest.fail("no session is expected")
    return time.monotonic() - began


async def twenty(database: Database) -> list[float]:
    return sorted(await asyncio.gather(*(seconds_until_refused(database) for _ in range(20))))


async def opens(database: Database) -> bool:
    try:
        async with database.session(read_only=True) as session:
            return (await session.execute(text("SELECT 1"))).scalar_one() == 1
    except StoreUnavailable:
        return False


async def seconds_until_it_opens(database: Database) -> float:
    """As many ask as in a service, each ten times a second."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        asking = {asyncio.create_task(opens(database))}
        while True:
            done, asking = await asyncio.wait(asking, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result() for task in done):
                break
            asking.add(asyncio.create_task(opens(database)))
    seconds = time.monotonic() - began
    await asyncio.gather(*asking)
    return seconds


class Relay:
    """Takes connections on a port of its own and says nothing; what comes while `is_open` goes on to a database."""

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        self.is_open = False
        self.count = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        tasks: set[asyncio.Task[None]] = set()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.count += 1
            if not self.is_open:
                await reader.read(-1)
            else:
                upstream = await asyncio.open_connection(self._to.host, self._to.port)
                await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))
            writer.close()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(take(reader, writer)))

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        try:
            yield self._to.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////nowhere/control.db", "postgresql+asyncpg://user:hunter22@127.0.0.1:1/db"]
)
async def test_nobody_waits_for_a_connection_that_cannot_be_made(url: str) -> None:
    async with open_database(url) as database:
        assert (await twenty(database))[-1] < 2
        assert (await twenty(database))[-1] < 2
        await asyncio.sleep(0.05)  # see above


async def test_where_a_database_says_nothing_it_is_waited_for_once_and_asked_once_a_second() -> None:
    relay = Relay("postgresql+asyncpg://user:hunter22@127.0.0.1/db")
    async with relay.listening() as url, open_database(url) as database:
        first = await twenty(database)
        # the limit of one attempt; those for whom the pool has no place get no attempt of their own
        assert 4.5 < first[0] <= first[-1] < 7
        assert relay.count == 10
        assert (await twenty(database))[-1] < 0.5
        await asyncio.sleep(1.05)
        probed = await twenty(database)
        assert relay.count == 11
        assert (probed[-2] < 0.5, probed[-1] > 4.5) == (True, True)


async def test_a_postgresql_that_was_silent_is_used_within_two_seconds(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_CONNECT_SECONDS", 3)
    relay = Relay(postgresql_url)
    async with relay.listening() as url, open_database(url) as database:
        await twenty(database)
        # probes hang when it comes back, and end afterwards
        hanging: list[asyncio.Task[bool]] = []
        for _ in range(3):
            await asyncio.sleep(1.05)
            hanging.append(asyncio.create_task(opens(database)))
        await asyncio.sleep(0.2)
        assert relay.count == 13
        relay.is_open = True
        assert await seconds_until_it_opens(database) < 2.5
        assert not hanging[-1].done()
        assert await asyncio.gather(*hanging) == [False] * 3
        assert all(await asyncio.gather(*(opens(database) for _ in range(20))))


async def test_a_sqlite_file_that_comes_back_is_used_at_once(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/away/control.db") as database:
        await twenty(database)
        (tmp_path / "away").mkdir()
        assert await seconds_until_it_opens(database) < 0.5


async def test_who_comes_to_a_busy_pool_waits_for_a_place(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    leave = asyncio.Event()

    async def stay() -> None:
        async with database.session(read_only=True):
            await leave.wait()

    most = 5 if database.is_sqlite else 10
    async with asyncio.TaskGroup() as tasks:
        staying = [tasks.create_task(stay()) for _ in range(most)]
        waiting = tasks.create_task(opens(database))
        given_up = tasks.create_task(opens(database))
        await asyncio.sleep(1)
        assert not any(task.done() for task in (*staying, waiting, given_up))
        monkeypatch.setattr(sql, "_POOL_WAIT_SECONDS", 0.2)
        assert 0.1 < await seconds_until_refused(database) < 1
        given_up.cancel()
        leave.set()
        assert await waiting
    # nobody keeps a place, also who did not wait to the end
    assert all(await asyncio.gather(*(opens(database) for _ in range(2 * most))))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Driver:
    """Does what the tests say next."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def connect(self, **_: object) -> Any:
        outcome = self.outcomes.pop(0)
        if callable(outcome):
            return outcome()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_an_attempt_that_fails_after_a_later_one_succeeded_stops_nobody() -> None:
    clock = Clock()
    connecting, driver = Connecting(clock), Driver()
    dialect = cast("Dialect", driver)

    def silent() -> None:
        clock.now += 5
        raise TimeoutError

    def silent_while_another_one_succeeds() -> None:
        clock.now += 5
        driver.outcomes[:] = ["second"]
        assert connecting(dialect, None, [], {}) == "second"
        raise TimeoutError

    driver.outcomes[:] = [silent]
    with pytest.raises(TimeoutError):
        connecting(dialect, None, [], {})
    clock.now += 0.9
    with pytest.raises(NotTriedError, match="TimeoutError"):
        connecting(dialect, None, [], {})
    clock.now += 0.1
    driver.outcomes[:] = [silent_while_another_one_succeeds]
    with pytest.raises(TimeoutError):
        connecting(dialect, None, [], {})
    driver.outcomes[:] = ["third"]
    assert connecting(dialect, None, [], {}) == "third"


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ValueError("wrong password")])
def test_a_refusal_that_comes_at_once_stops_no_further_attempt(error: Exception) -> None:
    connecting, driver = Connecting(Clock()), cast("Dialect", Driver(error, error, "made"))
    for _ in range(2):
        with pytest.raises(type(error)):
            connecting(driver, None, [], {})
    assert connecting(driver, None, [], {}) == "made"
