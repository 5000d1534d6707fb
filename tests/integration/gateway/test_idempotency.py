"""A creation that is sent again with its Idempotency-Key makes one thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select, update

from llm_manager.gateway.tables import IdempotentCreate
from llm_manager.kit.sql import open_database

ADMIN = ("admin", "seven wet umbrellas in May")
APPS = "/api/v1/apps"


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": text}


async def test_a_creation_that_is_sent_again_answers_what_it_made(admin: httpx2.AsyncClient) -> None:
    body = {"name": "once", "description": "d"}
    first = await admin.post(APPS, json=body, headers=key("a"))
    await admin.patch(f"{APPS}/once", json={"description": "changed"})
    again = await admin.post(APPS, json=body, headers=key("a"))
    assert (again.status_code, again.json()["id"], again.json()["description"]) == (201, first.json()["id"], "changed")
    told = (await admin.get("/api/v1/audit", params={"resource_id": first.json()["id"]})).json()["data"]
    assert [entry["action"] for entry in told] == ["changed", "created"]
    other = await admin.post(APPS, json={"name": "another"}, headers=key("a"))
    assert (other.status_code, other.json()["error"]["param"]) == (422, "idempotency-key")
    # without one, a name is taken
    assert (await admin.post(APPS, json=body)).status_code == 409
    assert (await admin.post(APPS, json=body, headers=key("b"))).status_code == 409


async def test_a_refused_creation_is_not_remembered(admin: httpx2.AsyncClient) -> None:
    wrong = await admin.post(APPS, json={"name": 7}, headers=key("wrong"))
    assert wrong.status_code == 422
    taken = await admin.post(APPS, json={"name": "default"}, headers=key("wrong"))
    assert taken.status_code == 409
    assert (await admin.post(APPS, json={"name": "free now"}, headers=key("wrong"))).status_code == 201


async def test_keys_of_one_caller_are_not_those_of_another(admin: httpx2.AsyncClient, served: Any) -> None:
    said = {"name": "idempotent robot", "scopes": ["llm-manager:base:view", "llm-manager:keys:manage"]}
    robot = (await admin.post("/api/v1/keys", json=said, headers=key("robot"))).json()
    again = await admin.post("/api/v1/keys", json=said, headers=key("robot"))
    assert (again.status_code, robot["id"] in again.text, robot["api_key"] in again.text) == (409, True, False)
    mine = (await admin.post(APPS, json={"name": "mine"}, headers=key("shared"))).json()
    async with httpx2.AsyncClient(base_url=served.url, headers={"authorization": f"Bearer {robot['api_key']}"}) as http:
        theirs = await http.post(APPS, json={"name": "theirs"}, headers=key("shared"))
        assert (theirs.status_code, theirs.json()["id"] != mine["id"]) == (201, True)
        rotated = [await http.post(f"/api/v1/keys/{robot['id']}/rotate", headers=key("r")) for _ in range(2)]
        assert [answer.status_code for answer in rotated] == [201, 409]


@pytest.mark.parametrize("value", ["", "x" * 256, "tab\there"])
async def test_what_is_no_key_is_refused(value: str, admin: httpx2.AsyncClient) -> None:
    answer = await admin.post(APPS, json={"name": "never made"}, headers=key(value))
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "idempotency-key")
    twice = await admin.post(
        APPS, json={"name": "never made"}, headers=[("idempotency-key", "a"), ("idempotency-key", "b")]
    )
    assert twice.status_code == 422
    assert (await admin.get(f"{APPS}/never made")).status_code == 404


async def test_of_several_at_once_one_makes_it_and_after_a_day_it_is_forgotten(start: Any, tmp_path: Any) -> None:
    async with start() as one, start() as two:
        body = {"name": "raced"}

        async def post(url: str) -> httpx2.Response:
            async with httpx2.AsyncClient(base_url=url, auth=ADMIN) as client:
                return await client.post(APPS, json=body, headers=key("race"))

        answers = await asyncio.gather(*(post(served.url) for served in (one, two) for _ in range(5)))
        # a gateway that came at the very moment may be told to try again
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
        assert (await post(two.url)).status_code == 201
        url = f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
        async with open_database(url) as database, database.session() as session:
            old = func.datetime("now", "-2 days")
            await session.execute(update(IdempotentCreate).values(created_at=old))
        # forgotten, so that the name is taken; and the next creation sweeps it away
        assert (await post(one.url)).status_code == 409
        async with httpx2.AsyncClient(base_url=one.url, auth=ADMIN) as client:
            assert (await client.post(APPS, json={"name": "next"}, headers=key("next"))).status_code == 201
        async with open_database(url) as database, database.session(read_only=True) as session:
            assert (await session.scalar(select(func.count()).select_from(IdempotentCreate))) == 1
