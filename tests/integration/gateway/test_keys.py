"""The admin API of keys over real HTTP."""

from __future__ import annotations

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
        ({"name": "bootstrap"}, 409, "conflict", None),
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
