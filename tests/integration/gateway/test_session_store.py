"""The table of sessions on both databases, with a clock that tests move; and the door while the database is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.gateway.access.rules import Origin, Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.secrets.rules import opened as opened_hashes
from llm_manager.gateway.tables import Session, User
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_store import SessionStore
from llm_manager.gateway.users.sessions import Sessions
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database, open_database
from llm_manager.kit.sql_migrations import migrate
from llm_manager.testing.master_key import MASTER_KEY, OTHER_MASTER_KEY

pytest_plugins = ["llm_manager.testing.postgresql"]
PASSWORD = "a sentence that nobody guesses"
HOME = Origin("192.0.2.1", "r1", "Browser/1")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as opened:
        async with opened.session() as session:
            hashed = await PasswordChecks().hashed(PASSWORD, room=1)
            session.add(User(id="u1", name="ann", roles=["developer"], password_hash=hashed))
        yield opened


def sessions(database: Database, clock: Clock, *, master_key: bytes = MASTER_KEY) -> Sessions:
    trail = LogInTrail(database, AuditStore(database))
    door = AdminDoor(database, trail=trail)
    return Sessions(SessionStore(database, trail), door, opened_hashes(SecretBox(master_key), {}), clock=clock)


async def rows(database: Database) -> int:
    async with database.session(read_only=True) as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


async def test_a_session_ends_when_it_is_not_used_for_eight_hours_and_after_seven_days_in_any_case(
    database: Database,
) -> None:
    clock = Clock()
    begun, ours = clock.now, sessions(database, clock)
    idle, _ = await ours.log_in("ann", PASSWORD, origin=HOME, cookie=None)
    used, opened = await ours.log_in("ann", PASSWORD, origin=HOME, cookie=None)
    assert opened.ends_at == begun + timedelta(hours=8)
    while clock.now < begun + timedelta(days=7) - timedelta(hours=7):
        clock.now += timedelta(hours=7)
        opened = await ours.enter(used, origin=HOME)
    assert opened.ends_at == begun + timedelta(days=7)
    with pytest.raises(AuthenticationFailed, match="has ended"):
        await ours.enter(idle, origin=HOME)
    clock.now = begun + timedelta(days=7)
    with pytest.raises(AuthenticationFailed, match="has ended"):
        await ours.enter(used, origin=HOME)
    kept, _ = await ours.log_in("ann", PASSWORD, origin=HOME, cookie=None)
    assert (await rows(database), await ours.purge(), await rows(database)) == (3, 2, 1)
    assert (await ours.enter(kept, origin=HOME)).subject.name == "ann"


async def test_that_a_session_is_used_is_written_once_a_minute(database: Database) -> None:
    clock = Clock()
    begun, ours = clock.now, sessions(database, clock)
    cookie, _ = await ours.log_in("ann", PASSWORD, origin=HOME, cookie=None)
    seen: list[datetime] = []
    for _ in range(4):
        clock.now += timedelta(seconds=25)
        await ours.enter(cookie, origin=HOME)
        seen.append((await ours.of_user("u1"))[0].seen_at)
    assert seen == [begun, begun, begun + timedelta(seconds=75), begun + timedelta(seconds=75)]


async def test_the_table_holds_nothing_that_opens_a_session(database: Database) -> None:
    ours = sessions(database, Clock())
    cookie, opened = await ours.log_in("ann", PASSWORD, origin=Origin("a" * 99, "r", "b\tc" * 999), cookie=None)
    [row] = await ours.of_user("u1")
    assert (len(row.address), len(row.agent), "\t" in row.agent) == (64, 500, False)
    for value in (row.id, row.id[:43], opened.csrf_token):
        with pytest.raises(AuthenticationFailed):
            await ours.enter(value, origin=HOME)
    with pytest.raises(AuthenticationFailed):
        await sessions(database, Clock(), master_key=OTHER_MASTER_KEY).enter(cookie, origin=HOME)


async def test_of_the_sessions_of_one_user_the_fifty_used_last_are_kept(database: Database) -> None:
    clock = Clock()
    ours = sessions(database, clock)
    cookies: list[str] = []
    for _ in range(51):
        clock.now += timedelta(seconds=1)
        cookies.append((await ours.log_in("ann", PASSWORD, origin=HOME, cookie=None))[0])
    assert await rows(database) == 50
    with pytest.raises(AuthenticationFailed):
        await ours.enter(cookies[0], origin=HOME)
    assert (await ours.enter(cookies[1], origin=HOME)).subject.id == "u1"


async def test_a_password_that_is_changed_during_a_log_in_opens_no_session(database: Database) -> None:
    clock = Clock()
    trail = LogInTrail(database, AuditStore(database))
    door, store = AdminDoor(database, trail=trail), SessionStore(database, trail)
    checked = await door.check("ann", PASSWORD, address="", request_id="")
    async with database.session() as session:
        await session.execute(update(User).values(password_hash="another"))
    row = Session(id="s", user_id="u1", created_at=clock(), seen_at=clock(), expires_at=clock())
    somebody = Subject("user", "u1", "ann", frozenset())
    assert not await store.begin(somebody, row, checked, instead_of=None)
    assert await rows(database) == 0


async def test_while_the_database_is_away_what_was_good_opens_and_nothing_else_is_called_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'control.db'}"
    await migrate(url, MIGRATIONS)
    async with open_database(url) as database:
        async with database.session() as session:
            for name in ("ann", "bob"):
                hashed = await PasswordChecks().hashed(PASSWORD, room=1)
                session.add(User(name=name, roles=["developer"], password_hash=hashed))
        door = AdminDoor(database, trail=LogInTrail(database, AuditStore(database)))

        async def come(name: str, password: str, *, peer: str) -> Any:
            return await door.check(name, password, address=peer, request_id="")

        account = await come("ann", PASSWORD, peer="192.0.2.1")

        def away(**_: object) -> Any:
            raise StoreUnavailable("The control-plane database does not answer.")

        monkeypatch.setattr(database, "session", away)
        assert await come("ann", PASSWORD, peer="192.0.2.1") == account
        # known or not, right or wrong: nobody can tell
        for number, (name, password) in enumerate((("ann", "wrong"), ("bob", PASSWORD), ("nobody", "wrong"))):
            with pytest.raises(StoreUnavailable):
                await come(name, password, peer=f"192.0.2.{number + 10}")
        door.forget("ann")
        with pytest.raises(StoreUnavailable):
            await come("ann", PASSWORD, peer="192.0.2.1")
