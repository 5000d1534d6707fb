"""The admin API of providers over real HTTP, across starts of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

ADMIN = ("admin", "correct horse battery staple")
GIVEN = {
    "OPENAI_API_KEY": "sk-canary-openai",
    "CUSTOM_BASE_URL": "http://user:sk-canary-url@127.0.0.1:9/v1?k=sk-canary-q",
}


async def _listed(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await client.get("/api/v1/providers")
    assert answer.status_code == 200
    assert "sk-canary" not in answer.text
    return {item["name"]: item for item in answer.json()["data"]}


async def test_every_provider_is_listed_with_its_origin_and_without_secrets(start: Any) -> None:
    given = {**GIVEN, "OPENAI_BASE_URL": "http://y/v1"}
    async with start(environ=given) as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        now = await _listed(admin)
    assert {name: item["origin"] for name, item in now.items()} == {
        "custom": "environment",
        "echo": "built-in",
        "openai": "environment",
    }
    assert now["custom"]["base_url"] == "http://127.0.0.1:9/v1"
    async with (
        start(environ={"OPENAI_BASE_URL": "http://y/v1"}) as served,
        httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin,
    ):
        later = await _listed(admin)
    models = now["openai"]["models"]
    assert models > 1
    assert later["openai"] == {
        "name": "openai",
        "kind": "openai",
        "base_url": "http://y/v1",
        "origin": "environment",
        "variables": ["OPENAI_BASE_URL"],
        "kept_variables": ["OPENAI_API_KEY"],
        "models": models,
    }
    assert (later["custom"]["origin"], later["custom"]["kept_variables"]) == ("kept", ["CUSTOM_BASE_URL"])


async def test_a_kept_key_is_not_sent_to_a_new_address(start: Any) -> None:
    async with start(environ=GIVEN):
        pass
    async with start(environ={"OPENAI_BASE_URL": "http://stranger/v1"}) as served:
        assert "openai" not in served.gateway.parts.catalogue.snapshot.providers
    async with start(environ={}) as served:
        assert served.gateway.parts.catalogue.snapshot.providers["openai"].credentials


async def test_a_kept_provider_is_gone_for_good_when_it_is_removed(start: Any, tmp_path: Path) -> None:
    async with start(environ=GIVEN):
        pass
    async with (
        start(environ={}) as served,
        start(environ={}) as other,
        httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin,
    ):
        assert (await admin.delete("/api/v1/providers/openai")).status_code == 204
        assert set(await _listed(admin)) == {"custom", "echo"}
        assert "gpt-4.1-mini" not in served.gateway.parts.catalogue.snapshot.configurations
        async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client:
            assert (await client.get("/v1/models/gpt-4.1-mini")).status_code == 404
        again = await admin.delete("/api/v1/providers/openai")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
        await other.gateway.parts.catalogue.sync()
        assert "openai" not in other.gateway.parts.catalogue.snapshot.providers
    async with start(environ={}) as served:
        assert set(served.gateway.parts.catalogue.snapshot.providers) == {"custom", "echo"}
    async with start(environ=GIVEN) as served:
        assert set(served.gateway.parts.catalogue.snapshot.providers) == {"custom", "echo", "openai"}


async def test_what_would_come_back_is_not_removed_and_says_why(start: Any) -> None:
    async with start(environ=GIVEN) as served, httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        refused = [await admin.delete(f"/api/v1/providers/{name}") for name in ("openai", "echo")]
        assert [(answer.status_code, answer.json()["error"]["code"]) for answer in refused] == [(409, "conflict")] * 2
        assert "OPENAI_API_KEY still gives it" in refused[0].text
        assert "built in" in refused[1].text
        assert set(await _listed(admin)) == {"custom", "echo", "openai"}


async def test_an_api_key_does_not_open_it(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client:
        assert (await client.get("/api/v1/providers")).status_code == 401
        assert (await client.delete("/api/v1/providers/openai")).status_code == 401
