"""Users over real HTTP: what they may, who may change whom, and what is left of a grant that was taken away."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import func, select, update

from llm_manager.core.errors import AuthenticationFailed, Conflict, InvalidRequest, PermissionRefused
from llm_manager.gateway.access.endpoints import permissions_of
from llm_manager.gateway.access.rules import ROLES, Permission, Role, Subject
from llm_manager.gateway.admin import ADMIN_ROUTERS
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.audit.tables import AuditEntry
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.tables import Session, User
from llm_manager.gateway.users.checks import PasswordChecks
from llm_manager.gateway.users.people import USERS, UserService
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_store import SessionStore
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.sql import Database, open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
PASSWORD = "a sentence that nobody guesses"
ROOT = Subject("user", "root", "root", frozenset(Permission))
Json = dict[str, Any]


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=30) as client:
        yield client


async def make(admin: httpx2.AsyncClient, name: str, *roles: str, **said: Any) -> Json:
    answer = await admin.post("/api/v1/users", json={"name": name, "roles": roles, "password": PASSWORD, **said})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_absent_keeps_null_clears_and_the_audit_tells_of_a_password_only_that_it_changed(
    admin: httpx2.AsyncClient, log_lines: io.StringIO
) -> None:
    made = await make(admin, "ann", "developer", title="Ann", language="pt-BR")
    address = f"/api/v1/users/{made['id']}"
    assert (await admin.get("/api/v1/users/ann")).json() == (await admin.get(address)).json() == made
    kept = (await admin.patch(address, json={"title": "Dr Ann"})).json()
    assert kept == {**made, "title": "Dr Ann", "revision": 2, "updated_at": kept["updated_at"]}
    cleared = (await admin.patch(address, json={"title": None, "language": None, "roles": None})).json()
    assert (cleared["title"], cleared["language"], cleared["roles"]) == ("", "", [])
    changed = await admin.patch(address, json={"password": PASSWORD + " twice"})
    assert set(changed.json()) == set(made)
    told = (await admin.get("/api/v1/audit", params={"resource": "users", "resource_id": made["id"]})).json()["data"]
    assert [(entry["action"], entry["before"], entry["after"]) for entry in told] == [
        ("changed", {"name": "ann", "password": "(secret)"}, {"name": "ann", "password": "changed"}),
        (
            "changed",
            {"name": "ann", "title": "Dr Ann", "language": "pt-BR", "roles": ["developer"]},
            {"name": "ann", "title": "", "language": "", "roles": []},
        ),
        ("changed", {"name": "ann", "title": "Ann"}, {"name": "ann", "title": "Dr Ann"}),
        (
            "created",
            None,
            {
                "name": "ann", "title": "Ann", "roles": ["developer"], "language": "pt-BR", "is_enabled": True,
                "password": "(secret)",
            },
        ),
    ]  # fmt: skip
    everything = (await admin.get("/api/v1/audit/export")).text + changed.text + log_lines.getvalue()
    assert PASSWORD not in everything
    assert "argon2" not in everything


async def test_lists_are_paged_searched_and_sorted(admin: httpx2.AsyncClient) -> None:
    for name in ("paged b", "paged a", "paged c"):
        await make(admin, name)
    query: dict[str, str | int] = {"search": "PAGED", "limit": 2, "sort": "-name"}
    first = (await admin.get("/api/v1/users", params=query)).json()
    rest = (await admin.get("/api/v1/users", params={**query, "cursor": first["next_cursor"]})).json()
    assert [user["name"] for user in first["data"] + rest["data"]] == ["paged c", "paged b", "paged a"]
    assert rest["next_cursor"] is None


@pytest.mark.requirement("S45", "S46")
@pytest.mark.parametrize("role", [*Role, None])
async def test_each_role_is_let_in_exactly_where_it_holds_the_permission(
    role: Role | None, admin: httpx2.AsyncClient, served: Any
) -> None:
    name = f"matrix {role}"
    await make(admin, name, *([role] if role else []))
    held: frozenset[Permission] = ROLES[role] if role else frozenset()
    async with httpx2.AsyncClient(base_url=served.url, auth=(name, PASSWORD), timeout=30) as client:
        who = (await client.get("/api/v1/session")).json()
        assert (who["permissions"], who["csrf_token"]) == (sorted(held), None)
        every = [route for router in ADMIN_ROUTERS for route in router.routes if isinstance(route, APIRoute)]
        routes = [route for route in every if permissions_of(route)]
        assert len(routes) >= 20
        for route in routes:
            path = re.sub(r"{.*?}", "nothing-there", route.path)
            for method in route.methods or ():
                answer = await client.request(method, path, json=None if method in {"GET", "DELETE"} else [])
                is_held = set(permissions_of(route)) <= held
                assert (answer.status_code == 403) == (not is_held), (method, path, answer.text)
                assert answer.status_code < 500 or "usage" in path, (method, path, answer.text)


@pytest.mark.requirement("S45")
async def test_starting_twice_leaves_the_grants_as_they_are(start: Any) -> None:
    seen: list[Json] = []
    for _ in range(2):
        async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
            users = (await client.get("/api/v1/users")).json()["data"]
            who = (await client.get("/api/v1/session")).json()
            seen.append({"roles": [(user["id"], user["roles"]) for user in users], "may": who["permissions"]})
    assert seen[0] == seen[1]
    assert seen[0]["may"] == sorted(Permission)


async def test_users_have_the_union_of_their_roles_and_lose_it_at_once(admin: httpx2.AsyncClient, served: Any) -> None:
    user = await make(admin, "uma", "developer", "administrator", "developer")
    assert user["roles"] == ["administrator", "developer"]
    async with httpx2.AsyncClient(base_url=served.url, auth=("uma", PASSWORD)) as client:
        who = (await client.get("/api/v1/session")).json()
        assert who["permissions"] == sorted(ROLES[Role.ADMINISTRATOR] | ROLES[Role.DEVELOPER])
        await admin.patch("/api/v1/users/uma", json={"roles": ["administrator"]})
        assert (await client.get("/api/v1/session")).json()["permissions"] == sorted(ROLES[Role.ADMINISTRATOR])
        await admin.patch("/api/v1/users/uma", json={"is_enabled": False})
        assert (await client.get("/api/v1/session")).status_code == 401


@pytest.mark.requirement("S48")
async def test_of_roles_that_were_taken_away_nothing_is_left(start: Any, tmp_path: Path) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        user = await make(admin, "leaving", "super-admin", "developer")
        async with httpx2.AsyncClient(base_url=served.url) as browser:
            assert (await browser.post("/api/v1/session", json={"name": "leaving", "password": PASSWORD})).is_success
        await admin.patch("/api/v1/users/leaving", json={"roles": []})
        async with httpx2.AsyncClient(base_url=served.url, auth=("leaving", PASSWORD)) as client:
            assert (await client.get("/api/v1/session")).json()["permissions"] == []
            for path in ("users", "apps", "keys", "providers", "audit", "usage/total"):
                assert (await client.get(f"/api/v1/{path}")).status_code == 403
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/gateway.db") as database, database.session() as session:
        assert await session.scalar(select(User.roles).where(User.id == user["id"])) == []
        assert await session.scalar(select(func.count()).where(Session.user_id == user["id"])) == 0


async def test_the_last_super_admin_and_oneself_cannot_be_taken_away(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        bodies: list[Json] = [{"is_enabled": False}, {"roles": []}, {"roles": None}, {"roles": ["master-developer"]}]
        for body in bodies:
            answer = await admin.patch("/api/v1/users/admin", json=body)
            assert (answer.status_code, "oneself" in answer.text) == (409, True), answer.text
        await make(admin, "mia", "master-developer")
        async with httpx2.AsyncClient(base_url=served.url, auth=("mia", PASSWORD)) as mia:
            for body in bodies:
                answer = await mia.patch("/api/v1/users/admin", json=body)
                assert (answer.status_code, "last super-admin" in answer.text) == (409, True), answer.text
            assert (
                await mia.patch("/api/v1/users/mia", json={"roles": ["super-admin", "master-developer"]})
            ).is_success
            assert (await mia.patch("/api/v1/users/admin", json={"roles": []})).is_success
            renamed = await mia.patch("/api/v1/users/admin", json={"name": "root"})
            assert (renamed.status_code, renamed.json()["error"]["param"]) == (409, "name")


async def test_a_password_that_a_person_gave_the_admin_outlives_a_start(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        titled = (await client.patch("/api/v1/users/admin", json={"title": "Boss"})).json()
        assert titled["managed_by"] == "environment"
        changed = (await client.patch("/api/v1/users/admin", json={"password": PASSWORD})).json()
        assert changed["managed_by"] == "admin"
        assert (await client.get("/api/v1/users")).status_code == 401
    async with start() as served, httpx2.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/api/v1/users", auth=ADMIN)).status_code == 401
        assert (await client.get("/api/v1/users", auth=("admin", PASSWORD))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "", {"name": "x"}, 422, "password"),
        ("POST", "", {"name": "x", "password": "short"}, 422, "password"),
        ("POST", "", {"name": "x", "password": "y" * 129}, 422, "password"),
        ("POST", "", {"name": "x", "password": "a" * 12}, 422, "password"),
        ("POST", "", {"name": "x", "password": "Password 1234"}, 422, "password"),
        ("POST", "", {"name": "x", "password": "Change-Me-Please"}, 422, "password"),
        ("POST", "", {"name": "Somebody Longer", "password": "somebody longer"}, 422, "password"),
        ("POST", "", {"name": "x", "password": ["a"] * 20}, 422, "password"),
        ("POST", "", {"name": "x", "password": None}, 422, "password"),
        ("POST", "", {"name": "x:y", "password": PASSWORD}, 422, "name"),
        ("POST", "", {"name": "x\0", "password": PASSWORD}, 422, "name"),
        ("POST", "", {"name": "\ud800", "password": PASSWORD}, 422, "name"),
        ("POST", "", {"name": "x", "password": "\ud800" * 12}, 422, "password"),
        ("POST", "", {"name": "n" * 201, "password": PASSWORD}, 422, "name"),
        ("POST", "", {"name": "admin", "password": PASSWORD}, 409, "name"),
        ("POST", "", {"name": "x", "password": PASSWORD, "roles": ["root"]}, 422, "roles.0"),
        ("POST", "", {"name": "x", "password": PASSWORD, "roles": "super-admin"}, 422, "roles"),
        ("POST", "", {"name": "x", "password": PASSWORD, "roles": ["developer"] * 5}, 422, "roles"),
        ("POST", "", {"name": "x", "password": PASSWORD, "language": "'; --"}, 422, "language"),
        ("POST", "", {"name": "x", "password": PASSWORD, "managed_by": "environment"}, 422, "managed_by"),
        ("POST", "", {"name": "x", "password": PASSWORD, "password_hash": "h"}, 422, "password_hash"),
        ("POST", "", [], 422, None),
        ("POST", "", None, 422, None),
        ("PATCH", "/admin", {"name": None}, 422, "name"),
        ("PATCH", "/admin", {"password": None}, 422, "password"),
        ("PATCH", "/admin", {"password": "admin admin admin"}, 422, "password"),
        ("PATCH", "/admin", {"is_enabled": "no"}, 422, "is_enabled"),
        ("PATCH", "/'; DROP TABLE users; --", {"title": "x"}, 404, None),
        ("GET", "/nobody/sessions", None, 404, None),
        ("DELETE", "/nobody/sessions", None, 404, None),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_name(
    method: str, path: str, body: object, status: int, param: str | None, admin: httpx2.AsyncClient
) -> None:
    # escaped, so that halves of characters can be sent too
    content = json.dumps(body) if body is not None else None
    kind = {"content-type": "application/json"}
    answer = await admin.request(method, f"/api/v1/users{path}", content=content, headers=kind)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert PASSWORD not in answer.text


async def test_names_and_passwords_of_all_letters_come_in_by_basic(admin: httpx2.AsyncClient, served: Any) -> None:
    password = "密码 ключ: ü и ещё"
    await make(admin, "Zoë", password=password)
    async with httpx2.AsyncClient(base_url=served.url, auth=("Zoë", password)) as client:
        assert (await client.get("/api/v1/session")).json()["user"]["name"] == "Zoë"


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as opened:
        yield opened


@pytest.fixture
def people(database: Database) -> UserService:
    audit, checks = AuditStore(database), PasswordChecks()
    trail = LogInTrail(database, audit)
    door = AdminDoor(database, trail=trail, checks=checks)
    return UserService(
        ResourceStore(database, audit, USERS), sessions=SessionStore(database, trail), door=door, checks=checks
    )


def said(name: str, *roles: Role, is_enabled: bool = True) -> Json:
    return {
        "name": name, "title": "", "language": "", "roles": list(roles), "password": PASSWORD, "is_enabled": is_enabled
    }  # fmt: skip


async def test_nobody_grants_or_changes_who_may_more(people: UserService) -> None:
    held = ROLES[Role.ADMINISTRATOR] | {Permission.USERS_MANAGE}
    helper = Subject("api_key", "k1", "helper", held)
    await people.create(ROOT, said("root", Role.SUPER_ADMIN))
    mine = await people.create(helper, said("clerk", Role.ADMINISTRATOR))
    for role in (Role.SUPER_ADMIN, Role.MASTER_DEVELOPER, Role.DEVELOPER):
        with pytest.raises(PermissionRefused, match=role.value) as raised:
            await people.create(helper, said("x", role))
        assert raised.value.param == "roles"
        with pytest.raises(PermissionRefused):
            await people.change(helper, mine.id, {"roles": [Role.ADMINISTRATOR, role]}, revision=None)
    changes: list[Json] = [{"password": PASSWORD + "!"}, {"is_enabled": False}, {"roles": []}, {"name": "toor"}]
    for change in changes:
        with pytest.raises(PermissionRefused):
            await people.change(helper, "root", change, revision=None)
    assert (await people.find("clerk")).roles == ["administrator"]
    assert (await people.find("root")).revision == 1


async def test_two_super_admins_who_demote_each_other_at_once_leave_one(people: UserService) -> None:
    one, two = [await people.create(ROOT, said(name, Role.SUPER_ADMIN)) for name in ("one", "two")]
    outcomes = await asyncio.gather(
        people.change(ROOT, one.id, {"roles": []}, revision=None),
        people.change(ROOT, two.id, {"is_enabled": False}, revision=None),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "User"]


async def test_a_super_admin_who_is_switched_off_does_not_count(people: UserService) -> None:
    await people.create(ROOT, said("off", Role.SUPER_ADMIN, is_enabled=False))
    await people.create(ROOT, said("on", Role.SUPER_ADMIN))
    with pytest.raises(Conflict, match="'on' is the last super-admin"):
        await people.change(ROOT, "on", {"is_enabled": False}, revision=None)
    with pytest.raises(InvalidRequest, match="name of the user"):
        await people.change(ROOT, "on", {"name": PASSWORD.upper(), "password": PASSWORD}, revision=None)


async def test_a_failed_log_in_is_told_to_the_audit_without_what_was_typed(database: Database) -> None:
    trail = LogInTrail(database, AuditStore(database))
    door, checks = AdminDoor(database, trail=trail), PasswordChecks()
    async with database.session() as session:
        session.add(User(name="ann", roles=[], password_hash=await checks.hashed(PASSWORD, room=1)))
    ann = await door.check("ann", PASSWORD, address="192.0.2.1", request_id="r0")
    messages: set[str] = set()
    for number, name in enumerate(("ann", "my password", "\0", "n" * 5_000)):
        with pytest.raises(AuthenticationFailed, match="wrong") as raised:
            await door.check(name, "wrong", address=f"192.0.2.{number}", request_id="r1")
        messages.add(str(raised.value))
    assert len(messages) == 1
    async with database.session() as session:
        await session.execute(update(User).values(is_enabled=False))
    with pytest.raises(AuthenticationFailed, match="wrong"):
        await door.check("ann", PASSWORD, address="192.0.2.9", request_id="r2")
    async with database.session(read_only=True) as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.sequence)))
    assert [(entry.action, entry.outcome, entry.resource, entry.actor_name) for entry in entries] == [
        ("refused", "refused", "sessions", name) for name in ("ann", *["(unknown)"] * 4)
    ]
    assert [entry.actor_id for entry in entries] == [ann.id, "", "", "", ""]
    assert all(entry.before is entry.after is None for entry in entries)


@pytest.mark.requirement("S43", "S44")
async def test_permissions_and_roles_are_told_in_the_reader_s_language(admin: httpx2.AsyncClient, served: Any) -> None:
    english = (await admin.get("/api/v1/permissions")).json()["data"]
    assert [one["name"] for one in english] == [one.value for one in Permission]
    german = await admin.get("/api/v1/permissions", headers={"accept-language": "de-CH,de;q=0.9"})
    assert (german.headers["content-language"], german.json()["data"][0]["title"]) == ("de", "Ansehen")
    roles = (await admin.get("/api/v1/roles", params={"language": "fr"})).json()["data"]
    assert {one["name"]: set(one["permissions"]) for one in roles} == {
        role.value: set(held) for role, held in ROLES.items()
    }
    async with httpx2.AsyncClient(base_url=served.url) as nobody:
        assert (await nobody.get("/api/v1/roles")).status_code == 401
