"""What the audit tells over HTTP of what was done over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, headers={"x-request-id": "req-audit"}) as client:
        yield client


@pytest.fixture
async def only_admin(start: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of a gateway of its own: what others do on the shared one, and are refused, may be more than a page."""
    async with start() as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


async def trail(admin: httpx2.AsyncClient, **query: str | int) -> Json:
    answer = await admin.get("/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_keys_that_come_and_go_are_in_it_without_their_secret(admin: httpx2.AsyncClient) -> None:
    made = (await admin.post("/api/v1/keys", json={"name": "audited"})).json()
    await admin.delete(f"/api/v1/keys/{made['id']}")
    # revoked again: nothing was done
    await admin.delete(f"/api/v1/keys/{made['id']}")
    found = (await trail(admin, resource="keys", resource_id=made["id"]))["data"]
    told = [(entry["action"], entry["outcome"], entry["before"], entry["after"]) for entry in found]
    said = found[-1]["after"]
    assert (said["name"], said["app"], said["is_revoked"]) == ("audited", "default", False)
    assert told == [("deleted", "done", said, None), ("created", "done", None, said)]
    assert {(entry["actor_name"], entry["request_id"], entry["address"]) for entry in found} == {
        ("admin", "req-audit", "127.0.0.1")
    }
    assert made["api_key"] not in json.dumps(await trail(admin))


async def test_what_was_refused_for_the_database_left_no_entry(admin: httpx2.AsyncClient) -> None:
    before = (await trail(admin, limit=1))["data"]
    assert (await admin.post("/api/v1/keys", json={"name": "bootstrap"})).status_code == 409
    assert (await trail(admin, limit=1))["data"] == before


async def test_pages_filters_export_and_proof_agree(only_admin: httpx2.AsyncClient) -> None:
    admin = only_admin
    for number in range(3):
        made = (await admin.post("/api/v1/keys", json={"name": f"paged {number}"})).json()
        await admin.delete(f"/api/v1/keys/{made['id']}")
    everything = (await trail(admin, limit=500))["data"]
    first = await trail(admin, limit=2)
    assert first["data"] == everything[:2]
    second = await trail(admin, limit=2, before=first["next_before"])
    assert second["data"] == everything[2:4]
    assert (await trail(admin, limit=500))["next_before"] is None
    ours = [entry for entry in everything if entry["actor_name"] == "admin"]
    assert (await trail(admin, actor="admin", limit=500))["data"] == ours
    assert (await trail(admin, actor="nobody"))["data"] == []
    newest = everything[0]["at"]
    assert newest not in [entry["at"] for entry in (await trail(admin, to=newest, limit=500))["data"]]
    export = (await admin.get("/api/v1/audit/export")).text
    assert [json.loads(line) for line in export.splitlines()] == everything[::-1]
    assert (await admin.get("/api/v1/audit/proof")).json() == {
        "is_whole": True,
        "entries": len(everything),
        "broken_at": None,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 501}, "limit"),
        ({"before": 0}, "before"),
        ({"from": "yesterday"}, "from"),
        ({"before": "x"}, "before"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(query: Json, param: str, admin: httpx2.AsyncClient) -> None:
    answer = await admin.get("/api/v1/audit", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


@pytest.mark.parametrize("path", ["", "/export", "/proof"])
async def test_nobody_reads_it_who_may_not(path: str, served: Any) -> None:
    async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client:
        assert (await client.get(f"/api/v1/audit{path}")).status_code == 403
