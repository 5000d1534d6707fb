"""The audit on both databases: one chain whoever writes at once, and nothing of what was rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text

from llm_manager.gateway.access.rules import ROLES, Role, Subject
from llm_manager.gateway.audit.rules import Entry, first_broken
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.audit.tables import AuditEntry
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.kit.sql import Database, open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]
ANN = Subject("user", "u1", "ann", ROLES[Role.SUPER_ADMIN], address="192.0.2.1", request_id="r1")


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as opened:
        yield opened


async def write(database: Database, number: int, *, fails: bool = False) -> None:
    async with database.session() as session:
        await AuditStore(database).add(
            session, ANN, "created", resource="apps", resource_id=f"a{number}", after={"name": f"app {number}"}
        )
        if fails:
            raise LookupError(number)


async def entries(database: Database) -> list[tuple[Entry, str]]:
    return [entry async for page in AuditStore(database).every() for entry in page]


async def test_entries_that_come_at_once_are_one_chain(database: Database) -> None:
    await asyncio.gather(*(write(database, number) for number in range(25)))
    found = await entries(database)
    assert {entry.resource_id for entry, _ in found} == {f"a{number}" for number in range(25)}
    assert first_broken(found) is None
    assert await AuditStore(database).head() == (25, found[-1][1])
    assert found[0][0].after == {"name": f"app {found[0][0].resource_id[1:]}"}
    assert (found[0][0].actor_name, found[0][0].address, found[0][0].request_id) == ("ann", "192.0.2.1", "r1")


async def test_what_was_rolled_back_was_not_done(database: Database) -> None:
    await write(database, 1)
    with pytest.raises(LookupError):
        await write(database, 2, fails=True)
    await write(database, 3)
    found = await entries(database)
    assert [entry.resource_id for entry, _ in found] == ["a1", "a3"]
    assert first_broken(found) is None


async def test_a_row_that_somebody_changed_in_the_database_is_found(database: Database) -> None:
    for number in range(4):
        await write(database, number)
    async with database.session() as session:
        await session.execute(text("UPDATE audit_entries SET actor_name = 'bob' WHERE sequence = 3"))
    assert first_broken(await entries(database)) == 3


async def test_pages_go_back_from_the_newest_and_may_be_of_one_thing(database: Database) -> None:
    for number in range(5):
        await write(database, number % 2)
    store = AuditStore(database)
    first = await store.page(limit=2)
    assert [entry.sequence for entry, _ in first] == [5, 4]
    assert [entry.sequence for entry, _ in await store.page(limit=9, before=4)] == [3, 2, 1]
    of_one = await store.page(AuditEntry.resource_id == "a1", limit=9)
    assert [entry.sequence for entry, _ in of_one] == [4, 2]
