"""What lists of the admin API are narrowed by, on both databases."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from llm_manager.gateway.app import openapi

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]
# by resource, what it is narrowed by beside that which every list takes
OWN = {
    "apps": set[str](),
    "providers": {"kind"},
    "configurations": {"provider", "app"},
    "aliases": {"configuration"},
    "overrides": {"app", "configuration"},
    "keys": {"app"},
    "users": set[str](),
}
EVERY = {"limit", "sort", "cursor", "search", "is_enabled", "managed_by"}
MADE: list[tuple[str, Json]] = [
    ("apps", {"name": "shop"}),
    ("apps", {"name": "forum"}),
    ("providers", {"name": "second", "kind": "echo"}),
    ("configurations", {"name": "a/shop", "provider": "second", "upstream_model": "m", "app": "shop"}),
    ("configurations", {"name": "b/shop", "provider": "second", "upstream_model": "m", "app": "shop"}),
    ("configurations", {"name": "c/shop", "provider": "second", "upstream_model": "m", "app": "shop"}),
    ("configurations", {"name": "d/shop", "provider": "echo", "upstream_model": "m", "app": "shop"}),
    ("configurations", {"name": "e/forum", "provider": "second", "upstream_model": "m", "app": "forum"}),
    ("configurations", {"name": "f/off", "provider": "second", "app": "shop"}),
    ("aliases", {"name": "short", "configuration": "a/shop"}),
    ("overrides", {"name": "one", "app": "shop", "configuration": "a/shop", "parameters": {"seed": 1}}),
    ("overrides", {"name": "two", "app": "shop", "parameters": {"seed": 2}}),
    ("overrides", {"name": "one", "app": "forum", "configuration": "a/shop", "parameters": {"seed": 3}}),
    ("keys", {"name": "of shop", "app": "shop"}),
]


@pytest.fixture
async def admin(start: Any, url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    async with (
        start(database_url=url, environ={"GROQ_API_KEY": "gsk-of-this-test"}) as served,
        httpx2.AsyncClient(base_url=f"{served.url}/api/v1", auth=ADMIN, timeout=30) as client,
    ):
        for path, body in MADE:
            answer = await client.post(f"/{path}", json=body)
            assert answer.status_code == 201, answer.text
        yield client


async def names(admin: httpx2.AsyncClient, path: str, **query: Any) -> list[str]:
    answer = await admin.get(f"/{path}", params={"limit": 500, **query})
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["data"]]


async def test_lists_are_narrowed_by_what_their_rows_name_by_its_name_or_its_id(admin: httpx2.AsyncClient) -> None:
    wanted = {
        ("configurations", "provider", "second"): ["a/shop", "b/shop", "c/shop", "e/forum", "f/off"],
        ("configurations", "app", "shop"): ["a/shop", "b/shop", "c/shop", "d/shop", "f/off"],
        ("aliases", "configuration", "a/shop"): ["short"],
        ("overrides", "configuration", "a/shop"): ["one", "one"],
        ("overrides", "app", "shop"): ["one", "two"],
        ("keys", "app", "shop"): ["of shop"],
    }
    for (path, param, name), found in wanted.items():
        # the resources that are named are called like the parameter
        row_id = (await admin.get(f"/{param}s/{name}")).json()["id"]
        for value in (name, row_id):
            assert await names(admin, path, **{param: value}) == found, (path, param)
        for unknown in ("nobody", name.upper(), "%", "é" * 200):
            assert await names(admin, path, **{param: unknown}) == [], (path, param)
        # empty is for any, as ever
        assert await names(admin, path, **{param: ""}) == await names(admin, path)
        refused = await admin.get(f"/{path}", params={param: "shop\0"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
    assert await names(admin, "providers", kind="echo") == ["echo", "second"]
    assert await names(admin, "providers", kind="nothing") == []


async def test_every_list_is_narrowed_by_who_manages_its_rows(admin: httpx2.AsyncClient) -> None:
    for path in OWN:
        rows = (await admin.get(f"/{path}", params={"limit": 500})).json()["data"]
        for who in ("admin", "environment"):
            expected = [row["name"] for row in rows if row["managed_by"] == who]
            assert await names(admin, path, managed_by=who) == expected
        for wrong in ("nobody", ""):
            refused = await admin.get(f"/{path}", params={"managed_by": wrong})
            assert (refused.status_code, refused.json()["error"]["param"]) == (422, "managed_by")
    assert await names(admin, "providers", managed_by="environment") == ["echo", "groq"]
    assert await names(admin, "aliases", managed_by="environment") == ["default"]


async def test_filters_hold_together_and_on_every_page(admin: httpx2.AsyncClient) -> None:
    query: Json = {
        "provider": "second",
        "app": "shop",
        "is_enabled": True,
        "managed_by": "admin",
        "search": "/SHOP",
        "sort": "-name",
        "limit": 1,
    }
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await admin.get("/configurations", params={**query, "cursor": cursor})).json()
        seen += [row["name"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ["c/shop", "b/shop", "a/shop"]
    assert await names(admin, "overrides", app="forum", configuration="a/shop") == ["one"]
    assert await names(admin, "configurations", provider="groq", managed_by="admin") == []


def test_the_reference_has_every_filter() -> None:
    for path, own in OWN.items():
        said = openapi()["paths"][f"/api/v1/{path}"]["get"]["parameters"]
        assert {one["name"] for one in said if one["in"] == "query"} == EVERY | own
        assert all(one.get("description") for one in said if one["name"] in own)
