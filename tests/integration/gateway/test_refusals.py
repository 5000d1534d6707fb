"""What the audit tells of attempts on the admin API that were refused, over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.access.rules import COOKIE

ADMIN = ("admin", "seven wet umbrellas in May")
PASSWORD = "a sentence that nobody guesses"
SECRET = "canary-of-a-refused-body"
LOCK_SECONDS = 2.0
Json = dict[str, Any]


@pytest.fixture
async def gateway(start: Any) -> AsyncGenerator[Any]:
    async with start() as served:
        yield served


@pytest.fixture
async def admin(gateway: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=gateway.url, auth=ADMIN, timeout=30) as client:
        yield client


@pytest.fixture
async def dev(gateway: Any, admin: httpx2.AsyncClient) -> AsyncGenerator[httpx2.AsyncClient]:
    made = await admin.post("/api/v1/users", json={"name": "dev", "roles": ["developer"], "password": PASSWORD})
    assert made.status_code == 201, made.text
    headers = {"x-request-id": "req-refused"}
    async with httpx2.AsyncClient(base_url=gateway.url, auth=("dev", PASSWORD), headers=headers, timeout=30) as client:
        # who was let in before may come often at once
        assert (await client.get("/api/v1/session")).status_code == 200
        yield client


@contextmanager
def changing(folder: Path) -> Generator[sqlite3.Connection]:
    """Hold the database as another process that writes; what it did is undone."""
    connection = sqlite3.connect(folder / "gateway.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def told(admin: httpx2.AsyncClient, **query: str) -> list[Json]:
    """Return what the audit says of refusals, newest first, and that it is whole."""
    answer = await admin.get("/api/v1/audit", params={"limit": 500, **query})
    assert (await admin.get("/api/v1/audit/proof")).json()["is_whole"]
    return [entry for entry in answer.json()["data"] if entry["action"] == "refused"]


async def robot(admin: httpx2.AsyncClient, *scopes: str, **said: Any) -> tuple[str, httpx2.AsyncClient]:
    key = (await admin.post("/api/v1/keys", json={"name": "robot", "scopes": scopes, **said})).json()
    headers = {"authorization": f"Bearer {key['api_key']}"}
    return key["id"], httpx2.AsyncClient(base_url=admin.base_url, headers=headers, timeout=30)


@pytest.mark.requirement("S46")
async def test_who_may_not_is_told_of_with_the_permission_and_without_what_was_sent(
    admin: httpx2.AsyncClient, dev: httpx2.AsyncClient
) -> None:
    said = {"name": "x", "kind": "openai", "api_key": SECRET}
    assert (await dev.post("/api/v1/providers", json=said, params={"q": SECRET})).status_code == 403
    assert (await dev.delete("/api/v1/providers/openai")).status_code == 403
    user = (await admin.get("/api/v1/users/dev")).json()
    deleted, created = await told(admin)
    assert (created["actor_kind"], created["actor_id"], created["actor_name"]) == ("user", user["id"], "dev")
    assert (created["outcome"], created["resource"], created["resource_id"]) == ("refused", "providers", "")
    assert (created["address"], created["request_id"]) == ("127.0.0.1", "req-refused")
    assert (created["before"], created["after"]) == (
        None,
        {
            "method": "POST",
            "path": "/api/v1/providers",
            "code": "permission_denied",
            "permission": "llm-manager:providers:manage",
        },
    )
    assert (deleted["resource_id"], deleted["after"]["method"], deleted["after"]["path"]) == (
        *("openai", "DELETE"),
        "/api/v1/providers/{provider}",
    )
    assert SECRET not in (await admin.get("/api/v1/audit/export")).text


async def test_an_id_is_told_without_keys_and_without_what_a_database_cannot_hold(
    admin: httpx2.AsyncClient, dev: httpx2.AsyncClient
) -> None:
    token = new_api_key().token
    for typed in (token, "a%00b%ED%A0%80c", "n" * 2_000):
        assert (await dev.delete(f"/api/v1/keys/{typed}")).status_code == 403
    long, odd, secret = [entry["resource_id"] for entry in await told(admin)]
    assert (long, secret) == ("n" * 512, "***")
    assert (odd[:2], odd.isprintable()) == ("ab", True)
    assert token not in (await admin.get("/api/v1/audit/export")).text


async def test_a_session_without_its_token_is_told_of(admin: httpx2.AsyncClient, dev: httpx2.AsyncClient) -> None:
    async with httpx2.AsyncClient(base_url=admin.base_url) as browser:
        answer = await browser.post("/api/v1/session", json={"name": "dev", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert cookie.startswith(COOKIE)
        refused = await browser.patch("/api/v1/apps/default", json={"title": SECRET}, headers={"cookie": cookie})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "csrf_token_missing")
    [entry] = await told(admin)
    assert (entry["actor_name"], entry["resource"], entry["resource_id"]) == ("dev", "apps", "default")
    assert entry["after"] == {"method": "PATCH", "path": "/api/v1/apps/{app}", "code": "csrf_token_missing"}


@pytest.mark.parametrize(
    ("scopes", "conditions", "permission"),
    [
        (["llm-manager:base:view"], {}, "llm-manager:providers:manage"),
        (["inference"], {}, None),
        (["llm-manager:providers:manage"], {"allowed_addresses": ["10.0.0.0/8"]}, None),
    ],
    ids=["permission", "scopes", "address"],
)
async def test_a_key_that_may_not_is_told_of_by_its_id(
    scopes: list[str], conditions: Json, permission: str | None, admin: httpx2.AsyncClient
) -> None:
    key_id, program = await robot(admin, *scopes, **conditions)
    async with program:
        assert (await program.delete("/api/v1/providers/echo")).status_code == 403
    [entry] = await told(admin, actor=key_id)
    assert (entry["actor_kind"], entry["actor_name"], entry["address"]) == ("api_key", "robot", "127.0.0.1")
    assert (entry["resource"], entry["resource_id"]) == ("providers", "echo")
    assert entry["after"].get("permission") == permission


async def test_who_grants_more_than_they_hold_is_told_of_once(admin: httpx2.AsyncClient) -> None:
    key_id, program = await robot(admin, "llm-manager:keys:manage", "llm-manager:users:manage")
    async with program:
        more = {"name": "more", "scopes": ["llm-manager:keys:manage", "llm-manager:audit:view"]}
        assert (await program.post("/api/v1/keys", json=more)).status_code == 403
        user = {"name": "more", "password": SECRET, "roles": ["administrator"]}
        assert (await program.post("/api/v1/users", json=user)).status_code == 403
    entries = await told(admin, actor=key_id)
    assert [(entry["resource"], entry["after"]["permission"]) for entry in entries] == [
        ("users", "llm-manager:base:create"),
        ("keys", "llm-manager:audit:view"),
    ]
    assert SECRET not in json.dumps(entries)


async def test_what_is_wrong_or_nobody_s_is_no_refusal_of_somebody(
    admin: httpx2.AsyncClient, dev: httpx2.AsyncClient
) -> None:
    assert (await dev.get("/api/v1/session")).status_code == 200
    assert (await admin.post("/api/v1/providers", json={})).status_code == 422
    assert (await admin.get("/api/v1/apps/nothing")).status_code == 404
    bearer = {"authorization": f"Bearer {new_api_key().token}"}
    async with httpx2.AsyncClient(base_url=admin.base_url, headers=bearer) as stranger:
        assert (await stranger.get("/api/v1/apps")).status_code == 401
    assert await told(admin) == []


async def test_a_loop_of_refusals_does_not_fill_the_audit_and_the_log_tells_the_rest(
    admin: httpx2.AsyncClient, dev: httpx2.AsyncClient, log_lines: io.StringIO
) -> None:
    began, logged = time.monotonic(), len(log_lines.getvalue())
    answers = [
        answer.status_code
        for _ in range(10)
        for answer in await asyncio.gather(*(dev.get("/api/v1/keys") for _ in range(30)))
    ]
    seconds = time.monotonic() - began
    assert answers == [403] * 300
    entries = await told(admin)
    assert 100 <= len(entries) <= 100 + seconds
    rest = [json.loads(line) for line in log_lines.getvalue()[logged:].splitlines() if "refusal_not_audited" in line]
    assert len(entries) + len(rest) == 300
    assert {(line["actor"], line["resource"], line["address"]) for line in rest} == {
        (entries[0]["actor_id"], "keys", "127.0.0.1")
    }


async def test_while_somebody_holds_the_database_refusals_stay_refusals_and_are_told_afterwards(
    admin: httpx2.AsyncClient, dev: httpx2.AsyncClient, tmp_path: Path
) -> None:
    with changing(tmp_path):
        began = time.monotonic()
        answers = await asyncio.gather(*(dev.get("/api/v1/keys") for _ in range(20)))
        seconds = time.monotonic() - began
        # others still find a connection
        assert (await admin.get("/api/v1/apps")).status_code == 200
    assert [answer.status_code for answer in answers] == [403] * 20
    assert LOCK_SECONDS <= seconds < LOCK_SECONDS + 2
    assert (await admin.post("/api/v1/apps", json={"name": "afterwards"})).status_code == 201
    async with asyncio.timeout(10):
        while not await told(admin):  # noqa: ASYNC110 # over HTTP there is no event
            await asyncio.sleep(0.1)
    assert (await dev.get("/api/v1/audit")).status_code == 403
    assert (await told(admin))[0]["resource"] == "audit"


async def test_an_audit_that_cannot_be_written_leaves_a_refusal_as_it_is(
    dev: httpx2.AsyncClient, tmp_path: Path, log_lines: io.StringIO
) -> None:
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("ALTER TABLE audit_head RENAME TO gone")
    logged = len(log_lines.getvalue())
    assert (await dev.get("/api/v1/keys")).status_code == 403
    assert "refusal_not_audited" in log_lines.getvalue()[logged:]
