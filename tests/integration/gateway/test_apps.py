"""Apps over real HTTP, and the store of every resource on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from llm_manager.core.errors import Conflict, NotFound, PreconditionFailed
from llm_manager.gateway.access.rules import ROLES, Role, Subject
from llm_manager.gateway.apps.service import APPS
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.tables import App
from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
ANN = Subject("user", "u1", "ann", ROLES[Role.SUPER_ADMIN])
HELLO = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
Json = dict[str, Any]


@pytest.fixture
async def store(url: str) -> AsyncGenerator[ResourceStore[App]]:
    await migrate(url, MIGRATIONS)
    async with open_database(url) as database:
        yield ResourceStore(database, AuditStore(database), APPS)


async def make(store: ResourceStore[App], name: str, *, is_enabled: bool = True) -> App:
    async with store.creating(ANN, lambda: App(name=name, is_enabled=is_enabled)) as (_, row):
        pass
    return row


async def test_pages_hold_every_row_once_in_every_order(store: ResourceStore[App]) -> None:
    names = ["a", "B", "c_%", "ü", "d", "e", "a2"]
    for name in names:
        await make(store, name, is_enabled=name != "d")
    for sort in ("name", "-name", "created", "-created"):
        seen: list[str] = []
        cursor = ""
        while True:
            rows, cursor = await store.page(Page(limit=2, sort=sort, cursor=cursor))
            seen += [row.name for row in rows]
            if not cursor:
                break
        assert sorted(seen) == sorted(names)
        if sort == "created":
            assert seen == names
    assert [row.name for row in (await store.page(Page(search="_%")))[0]] == ["c_%"]
    assert [row.name for row in (await store.page(Page(search="b")))[0]] == ["B"]
    assert [row.name for row in (await store.page(Page(search="ü")))[0]] == ["ü"]
    assert [row.name for row in (await store.page(Page(is_enabled=False)))[0]] == ["d"]


async def test_of_two_changes_of_one_revision_one_is_refused(store: ResourceStore[App]) -> None:
    row = await make(store, "shop")

    async def rename(name: str) -> str:
        try:
            async with store.changing(ANN, row.id, revision=row.revision) as (_, held):
                held.name = name
                await asyncio.sleep(0)
        except PreconditionFailed:
            return "refused"
        return name

    outcomes = await asyncio.gather(rename("one"), rename("two"))
    assert outcomes.count("refused") == 1
    kept = next(name for name in outcomes if name != "refused")
    assert (await store.find(row.id)).name == kept


async def test_names_are_unique_and_rows_are_found_by_id_and_by_name(store: ResourceStore[App]) -> None:
    shop, other = await make(store, "shop"), await make(store, "other")
    with pytest.raises(Conflict, match="another app named 'shop'") as raised:
        await make(store, "shop")
    assert raised.value.param == "name"
    with pytest.raises(Conflict, match="another app named 'shop'"):
        async with store.changing(ANN, other.id, revision=None) as (_, row):
            row.name = "shop"
    assert (await store.find("shop")).id == (await store.find(shop.id)).id == shop.id
    with pytest.raises(NotFound, match="no app 'nowhere'; GET /api/v1/apps lists them"):
        await store.find("nowhere")


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


async def test_an_app_has_keys_of_its_own_and_is_switched_off_at_once(admin: httpx2.AsyncClient, served: Any) -> None:
    made = await admin.post("/api/v1/apps", json={"name": "shop", "description": "the shop"})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    app = made.json()
    key = (await admin.post("/api/v1/keys", json={"name": "k", "app": "shop"})).json()["api_key"]
    async with httpx2.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {key}"}) as client:
        assert (await client.get("/v1/models/echo")).status_code == 200
        off = await admin.patch(f"/api/v1/apps/{app['id']}", json={"is_enabled": False})
        assert (off.status_code, off.json()["is_enabled"], off.headers["etag"]) == (200, False, '"2"')
        assert (await client.get("/v1/models/echo")).status_code == 401
        await admin.patch("/api/v1/apps/shop", json={"is_enabled": True})
        assert (await client.get("/v1/models/echo")).status_code == 200
    told = (await admin.get("/api/v1/audit", params={"resource": "apps", "resource_id": app["id"]})).json()["data"]
    assert [(entry["action"], entry["before"], entry["after"]) for entry in told] == [
        ("changed", {"name": "shop", "is_enabled": False}, {"name": "shop", "is_enabled": True}),
        ("changed", {"name": "shop", "is_enabled": True}, {"name": "shop", "is_enabled": False}),
        ("created", None, {"name": "shop", "description": "the shop", "is_enabled": True, "allowed_models": None}),
    ]


@pytest.mark.requirement("L-16")
async def test_absent_keeps_null_clears_and_what_was_read_is_what_is_written(admin: httpx2.AsyncClient) -> None:
    app = (await admin.post("/api/v1/apps", json={"name": "patched", "description": "d"})).json()
    address = f"/api/v1/apps/{app['id']}"
    assert (await admin.get(address)).json() == app
    kept = (await admin.patch(address, json={"name": "renamed"})).json()
    assert (kept["name"], kept["description"], kept["revision"]) == ("renamed", "d", 2)
    cleared = (await admin.patch(address, json={"description": None})).json()
    assert (cleared["description"], cleared["name"]) == ("", "renamed")
    assert (await admin.get(address)).json() == cleared
    unchanged = (await admin.patch(address, json={})).json()
    assert unchanged == cleared


async def test_a_change_of_what_was_changed_meanwhile_is_refused(admin: httpx2.AsyncClient) -> None:
    await admin.post("/api/v1/apps", json={"name": "raced"})
    read = (await admin.get("/api/v1/apps/raced")).headers["etag"]
    assert (await admin.patch("/api/v1/apps/raced", json={"description": "one"}, headers={"if-match": read})).is_success
    late = await admin.patch("/api/v1/apps/raced", json={"description": "two"}, headers={"if-match": read})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    assert (await admin.get("/api/v1/apps/raced")).json()["description"] == "one"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "", {}, 422, "name"),
        ("POST", "", {"name": "default"}, 409, "name"),
        ("POST", "", {"name": "a\nb"}, 422, "name"),
        ("POST", "", {"name": 7}, 422, "name"),
        ("POST", "", {"name": "x", "budget": 5}, 422, "budget"),
        ("POST", "", {"name": "x", "is_enabled": "yes"}, 422, "is_enabled"),
        ("PATCH", "/default", {"name": None}, 422, "name"),
        ("PATCH", "/default", {"revision": 9}, 422, "revision"),
        ("PATCH", "/nowhere", {"name": "x"}, 404, None),
        ("GET", "/nowhere", None, 404, None),
        ("GET", "?sort=colour", None, 422, "sort"),
        ("GET", "?cursor=zzz", None, 422, "cursor"),
        ("GET", "?limit=0", None, 422, "limit"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_name(
    method: str, path: str, body: object, status: int, param: str | None, admin: httpx2.AsyncClient
) -> None:
    answer = await admin.request(method, f"/api/v1/apps{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_an_api_key_is_no_admin(served: Any) -> None:
    async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/default"), ("PATCH", "/default")):
            assert (await client.request(method, f"/api/v1/apps{path}", json={})).status_code == 403
