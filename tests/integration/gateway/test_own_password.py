"""People change their own password: over real HTTP, and on both databases."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.gateway.access.rules import COOKIE, Origin, Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.audit.tables import AuditEntry
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.secrets.rules import opened
from llm_manager.gateway.tables import ENVIRONMENT, User
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.people import USERS, UserService
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_store import SessionStore
from llm_manager.gateway.users.sessions import Sessions
from llm_manager.gateway.users.store import ensure_admin
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database, open_database
from llm_manager.kit.sql_migrations import migrate
from llm_manager.testing.master_key import MASTER_KEY

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
OLD, NEW = "a sentence that nobody guesses", "another one, which is newer"
SESSION, PASSWORD = "/api/v1/session", "/api/v1/session/password"
HOME = Origin("192.0.2.1", "r1", "Browser/1")
Json = dict[str, Any]


@pytest.fixture
async def client(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as made:
        yield made


async def user(client: httpx2.AsyncClient, name: str) -> Json:
    answer = await client.post("/api/v1/users", auth=ADMIN, json={"name": name, "roles": [], "password": OLD})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def logged_in(client: httpx2.AsyncClient, name: str) -> dict[str, str]:
    """What the page of a new session sends."""
    answer = await client.post(SESSION, json={"name": name, "password": OLD})
    cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    return {"cookie": f"{COOKIE}={cookie}", "x-csrf-token": answer.json()["csrf_token"]}


def change(current: str = OLD, new: str = NEW) -> Json:
    return {"current_password": current, "new_password": new}


async def test_the_session_that_asks_stays_and_the_others_end(
    client: httpx2.AsyncClient, log_lines: io.StringIO
) -> None:
    made = await user(client, "own ann")
    mine, other, third = [await logged_in(client, "own ann") for _ in range(3)]
    answer = await client.put(PASSWORD, headers=mine, json=change())
    assert (answer.status_code, answer.content) == (204, b"")
    assert [(await client.get(SESSION, headers=one)).status_code for one in (mine, other, third)] == [200, 401, 401]
    assert [(await client.get(SESSION, auth=("own ann", one))).status_code for one in (OLD, NEW, OLD)] == [
        401,
        200,
        401,
    ]
    # the token is still good too
    assert (await client.put(PASSWORD, headers=mine, json=change(NEW, OLD))).status_code == 204
    told = (await client.get("/api/v1/audit", auth=ADMIN, params={"resource_id": made["id"]})).text
    [changed] = [
        one
        for one in (await client.get("/api/v1/audit", auth=ADMIN, params={"resource": "users"})).json()["data"]
        if one["resource_id"] == made["id"] and one["action"] == "changed"
    ][1:]
    assert (changed["actor_name"], changed["before"]["password"], changed["after"]["password"]) == (
        "own ann", "(secret)", "changed",
    )  # fmt: skip
    for secret in (OLD, NEW, "argon2"):
        assert secret not in told
        assert secret not in log_lines.getvalue()


async def test_by_basic_the_old_password_is_refused_at_once_and_the_new_one_opens(client: httpx2.AsyncClient) -> None:
    await user(client, "own basil")
    session = await logged_in(client, "own basil")
    assert (await client.put(PASSWORD, auth=("own basil", OLD), json=change())).status_code == 204
    assert (await client.get(SESSION, headers=session)).status_code == 401
    assert [(await client.get(SESSION, auth=("own basil", one))).status_code for one in (OLD, NEW)] == [401, 200]
    assert (await client.put(PASSWORD, auth=("own basil", OLD), json=change())).status_code == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (change(new=OLD), "new_password"),
        (change(new="short"), "new_password"),
        (change(new="x" * 129), "new_password"),
        (change(new="Password1234"), "new_password"),
        (change(new="somebody named"), "new_password"),
        (change(current=""), "current_password"),
        (change(current="x" * 1_001), "current_password"),
        ({"current_password": OLD}, "new_password"),
        ({"new_password": NEW}, "current_password"),
        ({**change(), "name": "admin"}, "name"),
    ],
)
async def test_what_will_not_do_is_refused_by_name_and_never_repeated(
    body: Json, param: str, client: httpx2.AsyncClient
) -> None:
    name = "Somebody Named"
    if (await client.get("/api/v1/users/Somebody%20Named", auth=ADMIN)).status_code == 404:
        await user(client, name)
    answer = await client.put(PASSWORD, auth=(name, OLD), json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text
    assert not any(said in answer.text for said in body.values() if said)
    assert (await client.get(SESSION, auth=(name, OLD))).status_code == 200


async def test_an_api_key_a_stranger_and_a_page_without_its_token_are_refused(
    client: httpx2.AsyncClient, served: Any
) -> None:
    await user(client, "own carl")
    mine = await logged_in(client, "own carl")
    scoped = await client.post(
        "/api/v1/keys", auth=ADMIN, json={"name": "program", "scopes": ["llm-manager:users:manage"]}
    )
    bearer = {"authorization": f"Bearer {scoped.json()['api_key']}"}
    # whatever else is wrong with it
    for body in (change(), {}):
        answer = await client.put(PASSWORD, headers=bearer, json=body)
        assert (answer.status_code, "has no password" in answer.text) == (403, True), answer.text
    assert (await client.put(PASSWORD, headers=served.bearer, json=change())).status_code == 403
    assert (await client.put(PASSWORD, json=change())).status_code == 401
    for token in (None, "", "x"):
        headers = {"cookie": mine["cookie"], **({"x-csrf-token": token} if token is not None else {})}
        answer = await client.put(PASSWORD, headers=headers, json=change())
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf_token_missing"), answer.text
    assert (await client.get(SESSION, auth=("own carl", OLD))).status_code == 200


async def test_a_wrong_current_password_is_answered_and_counted_as_a_log_in(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
        made = await user(client, "own dora")
        mine = await logged_in(client, "own dora")
        log_in = await client.post(SESSION, json={"name": "own dora", "password": "wrong"})
        at_once = [client.put(PASSWORD, headers=mine, json=change(f"wrong {number}")) for number in range(8)]
        answers = await asyncio.gather(*at_once)
        assert sorted(answer.status_code for answer in answers) == [401] * 4 + [429] * 4
        assert {answer.text for answer in answers if answer.status_code == 401} == {log_in.text}
        # log-ins of this address wait as well; who is in stays in, and the right password passes as it does there
        assert (await client.post(SESSION, json={"name": "own dora", "password": "wrong"})).status_code == 429
        assert (await client.get(SESSION, headers=mine)).status_code == 200
        told = (await client.get("/api/v1/audit", auth=ADMIN, params={"resource": "sessions"})).json()["data"]
        refused = [entry for entry in told if entry["outcome"] == "refused"]
        assert [entry["resource_id"] for entry in refused] == [made["id"]] * 5
        assert (await client.put(PASSWORD, headers=mine, json=change())).status_code == 204


async def test_the_password_that_admin_chose_is_kept_by_the_next_start(start: Any) -> None:
    for first, then in ((ADMIN[1], NEW), (NEW, OLD)):
        async with start() as served, httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
            answer = await client.put(PASSWORD, auth=("admin", first), json=change(first, then))
            assert answer.status_code == 204, answer.text
            assert (await client.get(SESSION, auth=ADMIN)).status_code == 401
            who = (await client.get(SESSION, auth=("admin", then))).json()
            assert who["user"]["managed_by"] == "admin"


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as made:
        async with made.session() as session:
            await ensure_admin(session, OLD)
        yield made


def built(database: Database) -> tuple[UserService, Sessions, AdminDoor]:
    audit, checks = AuditStore(database), PasswordChecks()
    trail = LogInTrail(database, audit)
    door, store = AdminDoor(database, trail=trail, checks=checks), SessionStore(database, trail)
    people = UserService(ResourceStore(database, audit, USERS), store, door, checks)
    return people, Sessions(store, door, opened(SecretBox(MASTER_KEY), {})), door


async def test_of_two_changes_at_once_one_holds_and_its_session_alone_goes_on(database: Database) -> None:
    people, sessions, door = built(database)
    opened_ones = [await sessions.log_in("admin", OLD, origin=HOME, cookie=None) for _ in range(3)]
    news = [f"{NEW} {number}" for number in range(2)]
    outcomes = await asyncio.gather(
        *(
            people.change_own_password(one.subject, current=OLD, new=new, session_id=one.id)
            for (_, one), new in zip(opened_ones, news, strict=False)
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AuthenticationFailed", "NoneType"]
    winner = outcomes.index(None)
    for number, (cookie, _) in enumerate(opened_ones):
        if number == winner:
            assert (await sessions.enter(cookie, origin=HOME)).subject.name == "admin"
        else:
            with pytest.raises(AuthenticationFailed, match="has ended"):
                await sessions.enter(cookie, origin=HOME)
    assert (await door.check("admin", news[winner], address="", request_id="")).name == "admin"
    for password in (OLD, news[1 - winner]):
        with pytest.raises(AuthenticationFailed):
            await door.check("admin", password, address="", request_id="")


async def test_what_is_left_of_a_change_is_one_entry_without_a_password(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, sessions, door = built(database)
    asking = (await sessions.log_in("admin", OLD, origin=HOME, cookie=None))[1]
    await sessions.log_in("admin", OLD, origin=HOME, cookie=None)
    await people.change_own_password(asking.subject, current=OLD, new=NEW, session_id=asking.id)
    async with database.session() as session:
        row = (await session.scalars(select(User))).one()
        assert (row.managed_by != ENVIRONMENT, row.revision) == (True, 2)
        await ensure_admin(session, OLD)
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.sequence)))

    def said(password: str) -> Json:
        return {"name": "admin", "password": password}

    assert [(one.resource, one.action, one.before, one.after) for one in entries[2:]] == [
        ("sessions", "deleted", {"name": "admin", "sessions": 1}, None),
        ("users", "changed", said("(secret)"), said("changed")),
    ]
    # the environment has not put its own back
    await people.change_own_password(asking.subject, current=NEW, new=OLD, session_id=None)

    def away(**_: object) -> Any:
        raise StoreUnavailable("The control-plane database does not answer.")

    # what is remembered for that case holds no password of before
    monkeypatch.setattr(database, "session", away)
    with pytest.raises(StoreUnavailable):
        await door.check("admin", NEW, address="", request_id="")


async def test_who_was_renamed_meanwhile_changes_nobody_s_password(database: Database) -> None:
    people, _, _ = built(database)
    async with database.session() as session:
        session.add(User(id="u2", name="renamed", roles=[], password_hash="another"))
    # was called admin when the request came in
    somebody = Subject("user", "u2", "admin", frozenset())
    with pytest.raises(AuthenticationFailed, match="at this moment"):
        await people.change_own_password(somebody, current=OLD, new=NEW, session_id=None)
