"""Configurations and aliases over real HTTP, and that the next request obeys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.testing.answering_worker import AnsweringWorker

ADMIN = ("admin", "seven wet umbrellas in May")
PATH = "/api/v1/configurations"
Json = dict[str, Any]


@asynccontextmanager
async def admin_of(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with admin_of(served) as client:
        yield client


def hello(model: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}]}


async def asked(url: str, key: str, model: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=10) as client:
        return await client.post("/v1/chat/completions", json=hello(model))


async def seconds_until(served: Any, model: str, status: int) -> float:
    """Return how long it takes until a gateway answers so."""
    began = time.monotonic()
    for _ in range(200):
        if (await asked(served.url, served.api_key, model)).status_code == status:
            break
        await asyncio.sleep(0.02)
    return time.monotonic() - began


EVERYTHING = {
    "name": "summaries/fast",
    "title": "Fast summaries",
    "description": "for tickets",
    "provider": "echo",
    "upstream_model": "echo",
    "is_enabled": True,
    "is_default": False,
    "default_parameters": {"temperature": 0.2, "stop": ["END"]},
    "adapts_parameters": True,
    "capabilities": ["streaming", "json_schema"],
    "context_window": 8_000,
    "max_output_tokens": 500,
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "use_cases": ["summaries"],
    "tags": {"team": "support"},
}


@pytest.mark.requirement("S1", "B-2")
async def test_every_field_comes_back_and_survives_a_restart(start: Any) -> None:
    async with start() as served, admin_of(served) as admin:
        made = await admin.post(PATH, json=EVERYTHING)
        assert made.status_code == 201, made.text
        assert {name: made.json()[name] for name in EVERYTHING} == EVERYTHING
        changed: Json = {"title": "T", "tags": {"team": "sales"}, "context_window": None, "use_cases": []}
        after = await admin.patch(f"{PATH}/summaries/fast", json=changed, headers={"if-match": made.headers["etag"]})
        assert {name: after.json()[name] for name in EVERYTHING} == EVERYTHING | changed
    async with start() as served, admin_of(served) as admin:
        assert (await admin.get(f"{PATH}/summaries/fast")).json() == after.json()
        assert (await admin.delete(f"{PATH}/summaries/fast")).status_code == 204
        assert (await admin.get(f"{PATH}/summaries/fast")).status_code == 404
        assert (await admin.post(PATH, json=EVERYTHING)).status_code == 201


@pytest.mark.requirement("S2")
async def test_it_is_off_until_it_has_a_model(admin: httpx2.AsyncClient, served: Any) -> None:
    made = (await admin.post(PATH, json={"title": "Für Späße", "provider": "echo"})).json()
    assert (made["name"], made["is_enabled"], made["upstream_model"]) == ("fur-spasse", False, "")
    refused = await asked(served.url, served.api_key, "fur-spasse")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "configuration_inactive")
    assert "has no model yet" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"
    on = await admin.patch(f"{PATH}/fur-spasse", json={"is_enabled": True})
    assert (on.status_code, on.json()["error"]["param"]) == (422, "is_enabled")
    assert (await admin.patch(f"{PATH}/fur-spasse", json={"upstream_model": "echo"})).json()["is_enabled"] is True


@pytest.mark.requirement("S3")
async def test_every_gateway_refuses_within_a_second_what_was_switched_off(
    start: Any, near_worker: AnsweringWorker
) -> None:
    async with start() as one, start() as two, admin_of(one) as admin:
        await admin.post(PATH, json={"name": "toggled", "provider": "echo", "upstream_model": "echo"})
        for is_enabled, status in ((True, 200), (False, 409), (True, 200)):
            await admin.patch(f"{PATH}/toggled", json={"is_enabled": is_enabled})
            assert await seconds_until(two, "toggled", status) < 1
            assert (await asked(one.url, one.api_key, "toggled")).status_code == status
        assert near_worker.requests


@pytest.mark.requirement("S4")
async def test_one_default_for_all_and_one_for_each_app(start: Any) -> None:
    async with start() as served, admin_of(served) as admin:
        await admin.post("/api/v1/apps", json={"name": "shop"})
        await make_defaults(admin)
        rows = (await admin.get(PATH, params={"limit": 500})).json()["data"]
        defaults = {(row["name"], row["app"]) for row in rows if row["is_default"]}
        assert defaults == {("second", None), ("plain-3", "shop")}
        told = (await admin.get("/api/v1/audit", params={"resource": "configurations"})).json()["data"]
        assert {"name": "first", "is_default": False} in [entry["after"] for entry in told]
        assert (await admin.get("/api/v1/audit/proof")).json()["is_whole"] is True


async def make_defaults(admin: httpx2.AsyncClient) -> None:
    """Make three that are no defaults, then two for all and two for one app."""

    async def make(name: str, **said: object) -> None:
        answer = await admin.post(PATH, json={"name": name, "provider": "echo", "upstream_model": name, **said})
        assert answer.status_code == 201, answer.text

    for name in ("plain-1", "plain-2", "plain-3"):
        await make(name)
    await make("first", is_default=True)
    await make("shop-1", is_default=True, app="shop")
    await make("second", is_default=True)
    await admin.patch(f"{PATH}/plain-3", json={"app": "shop", "is_default": True})


@pytest.mark.requirement("S10")
async def test_a_configuration_of_another_app_answers_403(
    admin: httpx2.AsyncClient, served: Any, worker: AnsweringWorker
) -> None:
    keys: dict[str, str] = {}
    for app in ("a", "b"):
        await admin.post("/api/v1/apps", json={"name": app})
        keys[app] = (await admin.post("/api/v1/keys", json={"name": "k", "app": app})).json()["api_key"]
    await admin.post(PATH, json={"name": "of-b", "provider": "echo", "upstream_model": "echo", "app": "b"})
    await admin.post(PATH, json={"name": "of-all", "provider": "echo", "upstream_model": "echo"})
    assert [(await asked(served.url, keys[app], "of-all")).status_code for app in "ab"] == [200, 200]
    assert [(await asked(served.url, keys[app], "of-b")).status_code for app in "ab"] == [403, 200]
    async with httpx2.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {keys['a']}"}) as client:
        names = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
        assert "of-all" in names
        assert "of-b" not in names
        assert (await client.get("/v1/models/of-b")).status_code == 403
    chats = [call for call in worker.requests if call.WhichOneof("input") != "models"]
    assert {call.attribution.configuration for call in chats} == {"of-all", "of-b"}


async def test_an_app_asks_for_what_it_is_allowed_from_the_next_request_on(
    admin: httpx2.AsyncClient, served: Any, worker: AnsweringWorker
) -> None:
    await admin.post("/api/v1/apps", json={"name": "narrow", "allowed_models": ["best"]})
    key = (await admin.post("/api/v1/keys", json={"name": "k", "app": "narrow"})).json()["api_key"]
    await admin.post(PATH, json={"name": "good", "provider": "echo", "upstream_model": "echo"})
    alias = await admin.post("/api/v1/aliases", json={"name": "best", "configuration": "good", "description": "d"})
    assert (alias.status_code, alias.json()["configuration"]) == (201, "good")
    assert [(await asked(served.url, key, model)).status_code for model in ("best", "good", "echo/echo")] == [
        200,
        403,
        403,
    ]
    await admin.patch("/api/v1/apps/narrow", json={"allowed_models": ["echo/*"]})
    assert [(await asked(served.url, key, model)).status_code for model in ("best", "good", "echo/echo")] == [
        403,
        403,
        200,
    ]
    await admin.patch("/api/v1/apps/narrow", json={"allowed_models": None})
    assert (await asked(served.url, key, "good")).status_code == 200
    in_use = await admin.delete(f"{PATH}/good")
    assert (in_use.status_code, in_use.json()["error"]["code"]) == (409, "conflict")
    assert (await admin.delete("/api/v1/aliases/best")).status_code == 204
    assert (await admin.delete(f"{PATH}/good")).status_code == 204
    gone = await asked(served.url, key, "good")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.requirement("B-2")
@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("", {"provider": "echo"}, 422, "name"),
        ("", {"title": "!!!", "provider": "echo"}, 422, "name"),
        ("", {"name": "x"}, 422, "provider"),
        ("", {"name": "x", "provider": "nobody"}, 404, "provider"),
        ("", {"name": "x", "provider": "echo", "app": "nobody"}, 404, "app"),
        ("", {"name": "echo", "provider": "echo"}, 409, "name"),
        ("", {"name": "x", "provider": "echo", "context_window": 0}, 422, "context_window"),
        ("", {"name": "x", "provider": "echo", "capabilities": ["flying"]}, 422, "capabilities.0"),
        ("", {"name": "x", "provider": "echo", "tags": {"": "v"}}, 422, "tags..[key]"),
        ("", {"name": "x", "provider": "echo", "budget": {"usd": 5}}, 422, "budget"),
        ("", {"name": "x\n", "provider": "echo"}, 422, "name"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_name(
    path: str, body: Json, status: int, param: str, admin: httpx2.AsyncClient
) -> None:
    answer = await admin.post(f"{PATH}{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_what_the_environment_gives_is_switched_off_and_not_deleted(start: Any, tmp_path: Path) -> None:
    del tmp_path
    async with start() as served, admin_of(served) as admin:
        kept = await admin.delete(f"{PATH}/echo")
        assert (kept.status_code, "switch it off instead" in kept.text) == (409, True)
        await admin.patch(f"{PATH}/echo", json={"is_enabled": False})
    async with start() as served, admin_of(served) as admin:
        row = (await admin.get(f"{PATH}/echo")).json()
        assert (row["is_enabled"], row["managed_by"]) == (False, "admin")
        assert (await asked(served.url, served.api_key, "echo")).status_code == 409
