"""The admin API of keys over real HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc.aio
import httpx2
import pytest

from llm_manager.contracts.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.catalogue.records import KeyRecord
from llm_manager.gateway.keys.service import KEYS, KeyService
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.tables import App
from llm_manager.kit.rpc import rpc_errors
from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]
_VIEW = Permission.BASE_VIEW.value


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
        ({}, 422, "invalid_request", "name"),
        ({"name": ""}, 422, "invalid_request", "name"),
        ({"name": "a\nb"}, 422, "invalid_request", "name"),
        ({"name": "x", "role": "root"}, 422, "invalid_request", "role"),
        ([], 422, "invalid_request", None),
        ({"name": "x", "scopes": []}, 422, "invalid_request", "scopes"),
        ({"name": "x", "scopes": ["root"]}, 422, "invalid_request", "scopes"),
        ({"name": "x", "scopes": "inference"}, 422, "invalid_request", "scopes"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, 422, "invalid_request", "expires_at"),
        ({"name": "x", "expires_at": "2099-01-01T00:00:00"}, 422, "invalid_request", "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-01:00"}, 422, "invalid_request", "expires_at"),
        ({"name": "x", "expires_at": "2099-02-30T00:00:00Z"}, 422, "invalid_request", "expires_at"),
        ({"name": "x", "expires_at": 4070908800}, 422, "invalid_request", "expires_at"),
        ({"name": "x", "allowed_addresses": []}, 422, "invalid_request", "allowed_addresses"),
        ({"name": "x", "allowed_addresses": ["10.0.0.0/33"]}, 422, "invalid_request", "allowed_addresses"),
        ({"name": "x", "allowed_addresses": ["::1"] * 101}, 422, "invalid_request", "allowed_addresses"),
        ({"name": "x", "allowed_models": [""]}, 422, "invalid_request", "allowed_models.0"),
        ({"name": "x", "allowed_models": ["m"] * 501}, 422, "invalid_request", "allowed_models"),
        ({"name": "x", "allowed_models": ["m" * 513]}, 422, "invalid_request", "allowed_models.0"),
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
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert "none of its scopes is a permission" in answer.json()["error"]["message"]


async def test_a_key_does_in_the_admin_api_what_its_scopes_say(admin: httpx2.AsyncClient, served: Any) -> None:
    said = {"name": "robot", "scopes": ["llm-manager:base:view", "llm-manager:models:manage"]}
    key = (await admin.post("/api/v1/keys", json=said)).json()
    headers = {"authorization": f"Bearer {key['api_key']}"}
    async with httpx2.AsyncClient(base_url=served.url, headers=headers) as robot:
        body = {"name": "by-robot", "provider": "echo", "upstream_model": "echo"}
        assert (await robot.post("/api/v1/configurations", json=body)).status_code == 201
        refused = await robot.post("/api/v1/keys", json={"name": "more"})
        assert (refused.status_code, "llm-manager:keys:manage" in refused.text) == (403, True)
        assert (await robot.get("/api/v1/session")).status_code == 409
        hello = {"model": "by-robot", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await robot.post("/v1/chat/completions", json=hello)).status_code == 403
        told = (await admin.get("/api/v1/audit", params={"actor": key["id"]})).json()["data"]
        assert [(entry["actor_kind"], entry["action"], entry["resource"]) for entry in told] == [
            ("api_key", "refused", "keys"),
            ("api_key", "created", "configurations"),
        ]
        await admin.delete(f"/api/v1/keys/{key['id']}")
        assert (await robot.get("/api/v1/apps")).status_code == 401


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
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "cursor")


async def _made(admin: httpx2.AsyncClient, name: str, **said: Any) -> Json:
    answer = await admin.post("/api/v1/keys", json={"name": name, **said})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _bearer(key: Json) -> dict[str, str]:
    return {"authorization": f"Bearer {key['api_key']}"}


async def _status(url: str, key: Json) -> int:
    async with httpx2.AsyncClient(base_url=url) as client:
        return (await client.get("/v1/models/echo", headers=_bearer(key))).status_code


async def _seconds_until(url: str, key: Json, status: int) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(10):
        while await _status(url, key) != status:  # noqa: ASYNC110 # over HTTP there is no event
            await asyncio.sleep(0.02)
    return loop.time() - began


@pytest.mark.requirement("S37")
async def test_a_key_shows_what_it_may_do_and_of_its_token_only_the_beginning(admin: httpx2.AsyncClient) -> None:
    ends = datetime(2099, 1, 1, tzinfo=UTC)
    said = {
        "scopes": ["inference", "llm-manager:base:view", "inference"],
        "expires_at": "2099-01-01T01:00:00+01:00",
        "allowed_addresses": ["127.0.0.1", "::FFFF:10.0.0.0/104", "10.1.1.1/8", "2001:DB8::/32"],
        "allowed_models": ["echo", "gpt-*"],
    }
    made = await _made(admin, "shown", **said)
    answer = await admin.get(f"/api/v1/keys/{made['id']}")
    shown = answer.json()
    assert {**shown, "api_key": made["api_key"]} == made
    assert (shown["scopes"], shown["allowed_models"]) == (["inference", "llm-manager:base:view"], ["echo", "gpt-*"])
    assert shown["allowed_addresses"] == ["127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"]
    assert datetime.fromisoformat(shown["expires_at"]) == ends
    assert (shown["prefix"], shown["replaced_by"]) == (f"lm_live_{made['id']}", None)
    assert made["api_key"].startswith(shown["prefix"])
    assert made["api_key"][len(shown["prefix"]) + 1 :] not in answer.text
    assert answer.headers["etag"] == '"1"'
    plain = await _made(admin, "plain")
    fields = ("scopes", "expires_at", "allowed_addresses", "allowed_models")
    assert [plain[field] for field in fields] == [["inference"], None, None, None]


async def test_a_change_keeps_what_is_absent_and_takes_away_what_is_null(admin: httpx2.AsyncClient) -> None:
    key = await _made(admin, "changed", allowed_addresses=["10.0.0.1"], allowed_models=["echo"])
    path = f"/api/v1/keys/{key['id']}"
    first = await admin.patch(path, json={"name": "renamed", "allowed_addresses": None}, headers={"if-match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    shown = first.json()
    assert (shown["name"], shown["allowed_addresses"], shown["allowed_models"]) == ("renamed", None, ["echo"])
    late = await admin.patch(path, json={"name": "late"}, headers={"if-match": '"1"'})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    for field in ("name", "scopes"):
        refused = await admin.patch(path, json={field: None})
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, field)
    await admin.delete(path)
    assert (await admin.patch(path, json={"name": "again"})).status_code == 409
    assert (await admin.patch("/api/v1/keys/nowhere", json={"name": "x"})).status_code == 404
    told = (await admin.get("/api/v1/audit", params={"resource": "keys", "resource_id": key["id"]})).json()["data"]
    changed = next(entry for entry in told if entry["resource_id"] == key["id"] and entry["action"] == "changed")
    assert changed["before"] == {"name": "changed", "allowed_addresses": ["10.0.0.1/32"]}
    assert changed["after"] == {"name": "renamed", "allowed_addresses": None}


@pytest.mark.requirement("S37")
async def test_another_gateway_holds_a_key_to_its_change_within_a_second(start: Any) -> None:
    async with start() as here, start() as there, httpx2.AsyncClient(base_url=here.url, auth=ADMIN) as admin:
        key = await _made(admin, "moved")
        assert await _seconds_until(there.url, key, 200) < 1
        path = f"/api/v1/keys/{key['id']}"
        for change, status in (
            ({"allowed_addresses": ["10.0.0.0/8"]}, 403),
            ({"allowed_addresses": ["127.0.0.0/8"]}, 200),
            ({"scopes": ["llm-manager:base:view"]}, 403),
        ):
            assert (await admin.patch(path, json=change)).status_code == 200
            assert await _status(here.url, key) == status
            assert await _seconds_until(there.url, key, status) < 1


async def test_a_key_that_is_in_use_expires_without_any_news(admin: httpx2.AsyncClient, served: Any) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=2)
    key = await _made(admin, "short", expires_at=ends.isoformat())
    assert await _status(served.url, key) == 200
    await _seconds_until(served.url, key, 401)
    assert datetime.now(UTC) >= ends
    async with httpx2.AsyncClient(base_url=served.url) as client:
        error = (await client.get("/v1/models/echo", headers=_bearer(key))).json()["error"]
    assert (error["code"], f"expired at {ends:%Y-%m-%d %H:%M:%S} UTC" in error["message"]) == ("invalid_api_key", True)
    refused = await admin.post(f"/api/v1/keys/{key['id']}/rotate")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.requirement("S37")
async def test_a_rotated_key_opens_beside_the_new_one_until_the_overlap_is_over(
    admin: httpx2.AsyncClient, served: Any
) -> None:
    said = {"scopes": ["inference", "llm-manager:base:view"], "allowed_models": ["ec*"]}
    old = await _made(admin, "rotated", **said, allowed_addresses=["127.0.0.0/8"])
    answer = await admin.post(f"/api/v1/keys/{old['id']}/rotate", json={"overlap_seconds": 3})
    new = answer.json()
    same = ("name", "app", "scopes", "allowed_addresses", "allowed_models", "expires_at")
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert {field: new[field] for field in same} == {field: old[field] for field in same}
    assert [await _status(served.url, key) for key in (old, new)] == [200, 200]
    shown = (await admin.get(f"/api/v1/keys/{old['id']}")).json()
    assert (shown["replaced_by"], shown["revoked_at"]) == (new["id"], None)
    assert 0 < (datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)).total_seconds() <= 3
    again = await admin.post(f"/api/v1/keys/{old['id']}/rotate")
    assert (again.status_code, new["id"] in again.json()["error"]["message"]) == (409, True)
    await _seconds_until(served.url, old, 401)
    assert await _status(served.url, new) == 200
    told = (await admin.get("/api/v1/audit", params={"resource": "keys"})).json()["data"]
    both = {entry["resource_id"]: entry for entry in told if entry["request_id"] == answer.headers["x-request-id"]}
    assert {key_id: entry["action"] for key_id, entry in both.items()} == {old["id"]: "changed", new["id"]: "created"}
    assert both[old["id"]]["after"]["replaced_by"] == new["id"]
    assert both[new["id"]]["after"]["scopes"] == said["scopes"]


async def test_a_rotation_never_makes_the_old_key_last_longer_and_may_end_it_at_once(
    admin: httpx2.AsyncClient, served: Any
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    old = await _made(admin, "at once", expires_at=ends.isoformat())
    new = (await admin.post(f"/api/v1/keys/{old['id']}/rotate")).json()
    kept = (await admin.get(f"/api/v1/keys/{old['id']}")).json()
    assert datetime.fromisoformat(kept["expires_at"]) == datetime.fromisoformat(new["expires_at"]) == ends
    newest = (await admin.post(f"/api/v1/keys/{new['id']}/rotate", json={"overlap_seconds": 0})).json()
    assert [await _status(served.url, key) for key in (old, new, newest)] == [200, 401, 200]
    assert (await admin.post(f"/api/v1/keys/{new['id']}/rotate")).status_code == 409
    for overlap in (-1, 2_592_001, "1", 1.5, None):
        wrong = await admin.post(f"/api/v1/keys/{newest['id']}/rotate", json={"overlap_seconds": overlap})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "overlap_seconds")
    assert (await admin.post("/api/v1/keys/nowhere/rotate")).status_code == 404
    bootstrap = next(key for key in (await admin.get("/api/v1/keys")).json()["data"] if key["name"] == "bootstrap")
    theirs = await admin.post(f"/api/v1/keys/{bootstrap['id']}/rotate")
    assert (theirs.status_code, "BOOTSTRAP_API_KEY" in theirs.json()["error"]["message"]) == (409, True)


async def test_of_rotations_at_once_one_wins(admin: httpx2.AsyncClient) -> None:
    key = await _made(admin, "contended")
    answers = await asyncio.gather(*(admin.post(f"/api/v1/keys/{key['id']}/rotate") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@pytest.mark.requirement("S37")
async def test_over_grpc_a_key_is_held_to_the_same(admin: httpx2.AsyncClient, served: Any) -> None:
    elsewhere = await _made(admin, "grpc elsewhere", allowed_addresses=["10.0.0.0/8"])
    here = await _made(admin, "grpc here", allowed_addresses=["127.0.0.0/8"])
    async with grpc.aio.insecure_channel(served.grpc_address) as channel:
        stub: Any = inference_service_pb2_grpc.InferenceServiceStub(channel)
        asked = inference_service_pb2.ListModelsRequest()
        await stub.ListModels(asked, metadata=[*_bearer(here).items()], timeout=5)
        for metadata in ([*_bearer(elsewhere).items()], [*_bearer(elsewhere).items(), ("x-forwarded-for", "10.0.0.1")]):
            with pytest.raises(PermissionRefused, match=r"127\.0\.0\.1"), rpc_errors():
                await stub.ListModels(asked, metadata=metadata, timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListModels(asked, metadata=[*_bearer(here).items()] * 2, timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


class Heard:
    """Stands where the catalogue does, and keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[KeyRecord] = []

    async def publish(self, records: list[KeyRecord]) -> None:
        self.records += records


def _program(*permissions: Permission) -> Subject:
    return Subject("api_key", "k", "ci", frozenset(permissions))


@pytest.mark.requirement("S37")
async def test_nobody_gets_further_by_a_key_than_they_could_go_themselves(url: str) -> None:
    await migrate(url, MIGRATIONS)
    every, limited = _program(*Permission), _program(Permission.KEYS_MANAGE, Permission.BASE_VIEW)
    heard: Any = Heard()  # of the catalogue only what a service calls
    async with open_database(url) as database:
        async with database.session() as session:
            session.add(App(name="shop"))
        trail = AuditStore(database)
        service = KeyService(ResourceStore(database, trail, KEYS), heard, pepper=b"p" * 32)
        strong = (await service.create(every, {"app": "shop", "name": "s", "scopes": ["llm-manager:users:manage"]})).row
        own = (await service.create(limited, {"app": "shop", "name": "o", "scopes": ["inference", _VIEW]})).row
        known = list(heard.records)
        for attempt in (
            service.create(limited, {"app": "shop", "name": "x", "scopes": [_VIEW, "llm-manager:users:manage"]}),
            service.change(limited, own.id, {"scopes": ["llm-manager:users:manage"]}, revision=None),
            service.change(limited, strong.id, {"allowed_addresses": None}, revision=None),
            service.rotate(limited, strong.id, overlap_seconds=60),
        ):
            with pytest.raises(PermissionRefused, match="does not hold llm-manager:users:manage") as caught:
                await attempt
            assert caught.value.param == "scopes"
        assert (await service.find(strong.id)).revision == 1
        assert heard.records == known
        assert [entry.action for entry, _ in await trail.page(limit=9)] == ["created", "created"]
        new = (await service.rotate(limited, own.id, overlap_seconds=0)).row
        assert {record.id: record.is_enabled for record in heard.records[2:]} == {own.id: False, new.id: True}
        await service.revoke(limited, strong.id)
    assert not heard.records[-1].is_enabled
