"""The admin API of keys over real HTTP."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

ADMIN = ("admin", "correct horse battery staple")


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


async def test_a_key_is_shown_once_and_revoked_at_once(admin: httpx2.AsyncClient, served: Any) -> None:
    made = await admin.post("/api/v1/keys", json={"name": "laptop", "app": "default"})
    assert made.status_code == 201
    key = made.json()["api_key"]
    listed = await admin.get("/api/v1/keys")
    mine = next(item for item in listed.json()["data"] if item["id"] == made.json()["id"])
    assert (mine["name"], mine["app"], mine["revoked_at"]) == ("laptop", "default", None)
    assert key not in listed.text
    async with httpx2.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {key}"}) as client:
        assert (await client.get("/v1/models/echo")).status_code == 200
        assert (await admin.delete(f"/api/v1/keys/{mine['id']}")).status_code == 204
        assert (await client.get("/v1/models/echo")).status_code == 401
    assert (await admin.delete(f"/api/v1/keys/{mine['id']}")).status_code == 204
    again = await admin.post("/api/v1/keys", json={"name": "laptop"})
    assert again.status_code == 201
    await admin.delete(f"/api/v1/keys/{again.json()['id']}")


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"name": "bootstrap"}, 409, "conflict", "name"),
        ({"name": "x", "app": "nowhere"}, 404, "not_found", "app"),
        ({}, 400, "invalid_request", "name"),
        ({"name": ""}, 400, "invalid_request", "name"),
        ({"name": "a\nb"}, 400, "invalid_request", "name"),
        ({"name": "x", "role": "root"}, 400, "invalid_request", "role"),
        ([], 400, "invalid_request", None),
    ],
)
async def test_what_is_wrong_is_said(
    body: object, status: int, code: str, param: str | None, admin: httpx2.AsyncClient
) -> None:
    answer = await admin.post("/api/v1/keys", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)


async def test_an_unknown_key_cannot_be_revoked(admin: httpx2.AsyncClient) -> None:
    answer = await admin.delete("/api/v1/keys/'; DROP TABLE api_keys; --")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/api/v1/keys", "/api/v1/usage/top", "/api/v1/usage/total", "/api/v1/usage/events", "/api/v1/usage/errors"]
)
async def test_an_api_key_does_not_open_the_admin_api(path: str, http: httpx2.AsyncClient) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_without_a_password_there_is_no_admin(start: Any) -> None:
    async with start(admin_password=None) as served, httpx2.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/api/v1/keys", auth=("admin", ""))).status_code == 401


async def test_keys_are_listed_page_by_page_newest_first_and_by_app(admin: httpx2.AsyncClient) -> None:
    await admin.post("/api/v1/apps", json={"name": "paged"})
    made = [(await admin.post("/api/v1/keys", json={"name": f"p{n}", "app": "paged"})).json()["id"] for n in range(5)]
    await admin.delete(f"/api/v1/keys/{made[1]}")
    query: dict[str, str | int] = {"app": "paged", "sort": "-created", "limit": 2}
    seen: list[str] = []
    while True:
        page = (await admin.get("/api/v1/keys", params=query)).json()
        seen += [key["id"] for key in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    live = (await admin.get("/api/v1/keys", params={"app": "paged", "is_enabled": True})).json()["data"]
    assert {key["id"] for key in live} == {*made} - {made[1]}
    assert (await admin.get("/api/v1/keys", params={"app": "nowhere"})).json()["data"] == []
    # the name of one that was revoked is free again
    assert (await admin.post("/api/v1/keys", json={"name": "p1", "app": "paged"})).status_code == 201
    assert (await admin.post("/api/v1/keys", json={"name": "p2", "app": "paged"})).status_code == 409


async def test_a_cursor_that_holds_no_time_is_refused(admin: httpx2.AsyncClient) -> None:
    cursor = base64.urlsafe_b64encode(b'["created","yesterday","k"]').decode().rstrip("=")
    answer = await admin.get("/api/v1/keys", params={"sort": "created", "cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor")
