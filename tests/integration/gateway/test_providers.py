"""The admin API of providers over real HTTP, across starts of the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import SecretBox
from llm_manager.testing.answering_worker import AnsweringWorker, answering, native
from llm_manager.testing.master_key import MASTER_KEY

ADMIN = ("admin", "seven wet umbrellas in May")
GIVEN = {
    "OPENAI_API_KEY": "sk-canary-openai",
    "CUSTOM_BASE_URL": "http://user:sk-canary-url@127.0.0.1:9/v1?k=sk-canary-q",
}


async def _listed(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await client.get("/api/v1/providers", params={"is_enabled": True})
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
    shown = later["openai"]
    assert {name: shown[name] for name in ("kind", "base_url", "origin", "managed_by")} == {
        "kind": "openai",
        "base_url": "http://y/v1",
        "origin": "environment",
        "managed_by": "environment",
    }
    assert (shown["variables"], shown["kept_variables"], shown["models"]) == (
        ["OPENAI_BASE_URL"],
        ["OPENAI_API_KEY"],
        models,
    )
    assert shown["api_keys"] == [{"name": "default", "fingerprint": "…", "is_enabled": True}]
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
        assert (await client.get("/api/v1/providers")).status_code == 403
        assert (await client.delete("/api/v1/providers/openai")).status_code == 403


ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}
UPSTREAM = {"kind": "custom", "base_url": "http://127.0.0.1:9/v1"}
LONG_KEY = "sk-canary-0123456789-abcd"


@asynccontextmanager
async def admin_of(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


@pytest.fixture
async def provider(near_worker: AnsweringWorker) -> AnsweringWorker:
    """Answers as servers of OpenAI's dialect do."""
    near_worker.script = answering(native(ANSWER))
    return near_worker


async def _chat(served: Any, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer, timeout=10) as client:
        return await client.post("/v1/chat/completions", json=body)


@pytest.mark.requirement("S7", "S8")
async def test_the_next_request_obeys_a_provider_that_a_person_made(start: Any, provider: AnsweringWorker) -> None:
    said = {
        "name": "mine",
        **UPSTREAM,
        "api_key": LONG_KEY,
        "headers": {"OpenAI-Organization": "org-1", "X-Secret-Token": "sk-canary-header"},
        "paths": {"chat": "/custom/chat"},
        "timeouts": {"connect": 5, "total": 300},
    }
    async with start() as served, admin_of(served) as admin:
        made = await admin.post("/api/v1/providers", json=said)
        assert made.status_code == 201, made.text
        assert made.json()["api_keys"] == [{"name": "default", "fingerprint": "…abcd", "is_enabled": True}]
        assert made.json()["headers"] == {"openai-organization": "org-1", "x-secret-token": "***"}
        assert (await _chat(served, "mine/m")).status_code == 200
        target = provider.requests[-1].target
        assert (target.base_url, target.is_trusted, dict(target.paths)) == (UPSTREAM["base_url"], False, said["paths"])
        assert (target.timeouts.connect_ms, target.timeouts.total_ms) == (5_000, 300_000)
        box = SecretBox(MASTER_KEY)
        assert box.open(target.credential, aad=CREDENTIAL_AAD) == LONG_KEY.encode()
        opened = json.loads(box.open(target.sealed_headers, aad=HEADERS_AAD))
        assert opened == {"openai-organization": "org-1", "x-secret-token": "sk-canary-header"}
        change = {"headers": {"openai-organization": None}, "paths": None, "timeouts": {"idle": 7}}
        after = (await admin.patch("/api/v1/providers/mine", json=change)).json()
        assert (after["headers"], after["paths"], after["timeouts"]) == ({"x-secret-token": "***"}, {}, {"idle": 7.0})
        await _chat(served, "mine/m")
        target = provider.requests[-1].target
        assert (dict(target.paths), target.timeouts.idle_ms, target.timeouts.connect_ms) == ({}, 7_000, 0)
        whole = (await admin.get("/api/v1/audit/export")).text
        assert "sk-canary" not in whole
        assert '"paths"' in whole


async def test_attempts_use_the_keys_of_a_provider_in_turn(start: Any, provider: AnsweringWorker) -> None:
    box = SecretBox(MASTER_KEY)
    async with start() as served, admin_of(served) as admin:
        await admin.post("/api/v1/providers", json={"name": "mine", **UPSTREAM, "api_key": "one"})
        for name in ("two", "three"):
            answer = await admin.post("/api/v1/providers/mine/keys", json={"name": name, "api_key": name})
            assert answer.status_code == 201
        assert (
            await admin.post("/api/v1/providers/mine/keys", json={"name": "two", "api_key": "x"})
        ).status_code == 422
        off = await admin.patch("/api/v1/providers/mine/keys/three", json={"is_enabled": False})
        assert [key["is_enabled"] for key in off.json()["api_keys"]] == [True, True, False]
        for _ in range(4):
            await _chat(served, "mine/m")
        used = [box.open(call.target.credential, aad=CREDENTIAL_AAD) for call in provider.requests]
        assert (used.count(b"one"), used.count(b"two")) == (2, 2)
        assert (await admin.delete("/api/v1/providers/mine/keys/default")).is_success
        assert (await admin.delete("/api/v1/providers/mine/keys/default")).status_code == 404
        await _chat(served, "mine/m")
        assert box.open(provider.requests[-1].target.credential, aad=CREDENTIAL_AAD) == b"two"


@pytest.mark.requirement("P-14")
@pytest.mark.parametrize("change", [{"base_url": "https://elsewhere.example/v1"}, {"base_url": None}])
async def test_what_was_sealed_for_one_host_goes_to_no_other(change: dict[str, Any], start: Any) -> None:
    async with start() as served, admin_of(served) as admin:
        said = {"name": "mine", **UPSTREAM, "kind": "openai", "api_key": LONG_KEY, "headers": {"x-org": "1"}}
        await admin.post("/api/v1/providers", json=said)
        refused = await admin.patch("/api/v1/providers/mine", json=change)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, "base_url")
        assert "another host" in refused.text
        same_host = await admin.patch("/api/v1/providers/mine", json={"base_url": "http://127.0.0.1:9/v2/"})
        assert (same_host.json()["base_url"], len(same_host.json()["api_keys"])) == ("http://127.0.0.1:9/v2", 1)
        moved = (await admin.patch("/api/v1/providers/mine", json={**change, "api_key": None})).json()
        assert (moved["api_keys"], moved["headers"]) == ([], {})


@pytest.mark.requirement("S9")
async def test_what_is_archived_serves_nobody_and_comes_back_as_it_was(start: Any, provider: AnsweringWorker) -> None:
    async with start() as served, admin_of(served) as admin:
        await admin.post("/api/v1/providers", json={"name": "mine", **UPSTREAM})
        for name, is_enabled in (("on", True), ("off", False)):
            said = {"name": name, "provider": "mine", "upstream_model": "m", "is_enabled": is_enabled}
            assert (await admin.post("/api/v1/configurations", json=said)).status_code == 201

        async def statuses() -> list[int]:
            return [(await _chat(served, model)).status_code for model in ("on", "off", "mine/m")]

        assert await statuses() == [200, 409, 200]
        archived = (await admin.post("/api/v1/providers/mine/archive")).json()
        assert archived["archived_at"]
        assert await statuses() == [404, 404, 404]
        assert (await admin.post("/api/v1/providers/mine/archive")).json() == archived
        assert (await admin.delete("/api/v1/providers/mine")).status_code == 409
        await admin.post("/api/v1/providers/mine/restore")
        assert await statuses() == [200, 409, 200]
        for name in ("on", "off"):
            await admin.delete(f"/api/v1/configurations/{name}")
        assert (await admin.delete("/api/v1/providers/mine")).status_code == 204
        assert (await _chat(served, "mine/m")).status_code == 404


async def test_a_renamed_provider_is_found_by_its_new_name_only(start: Any, provider: AnsweringWorker) -> None:
    async with start() as served, admin_of(served) as admin:
        await admin.post("/api/v1/providers", json={"name": "mine", **UPSTREAM})
        await admin.post("/api/v1/configurations", json={"name": "c", "provider": "mine", "upstream_model": "m"})
        await admin.patch("/api/v1/providers/mine", json={"name": "ours"})
        statuses = [(await _chat(served, model)).status_code for model in ("c", "ours/m", "mine/m")]
        assert statuses == [200, 200, 404]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"kind": "openai"}, 422, "name"),
        ({"name": "a/b", "kind": "openai"}, 422, "name"),
        ({"name": "x", "kind": "opnai"}, 422, "kind"),
        ({"name": "echo", "kind": "openai"}, 409, "name"),
        ({"name": "x", "kind": "custom"}, 422, "base_url"),
        ({"name": "x", "kind": "custom", "base_url": "ftp://h"}, 422, "base_url"),
        ({"name": "x", "kind": "custom", "base_url": "http://u:p@h/v1"}, 422, "base_url"),
        ({"name": "x", "kind": "custom", "base_url": "http://h/v1?key=1"}, 422, "base_url"),
        ({"name": "x", "kind": "custom", "base_url": "http://[::1"}, 422, "base_url"),
        ({"name": "x", "kind": "custom", "base_url": "http://h:99999/"}, 422, "base_url"),
        ({"name": "x", **UPSTREAM, "api_key": "a\nb"}, 422, "api_key"),
        ({"name": "x", **UPSTREAM, "api_key": 7}, 422, "api_key"),
        ({"name": "x", **UPSTREAM, "headers": {"a b": "c"}}, 422, "headers"),
        ({"name": "x", **UPSTREAM, "headers": {"Host": "c"}}, 422, "headers"),
        ({"name": "x", **UPSTREAM, "headers": {"x": "c\r\nd: e"}}, 422, "headers"),
        ({"name": "x", **UPSTREAM, "paths": {"fly": "/"}}, 422, "paths"),
        ({"name": "x", **UPSTREAM, "paths": {"chat": "/../x"}}, 422, "paths"),
        ({"name": "x", **UPSTREAM, "timeouts": {"total": 0}}, 422, "timeouts.total"),
        ({"name": "x", **UPSTREAM, "timeouts": {"forever": 5}}, 422, "timeouts.forever.[key]"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_name_and_nothing_is_quoted(
    body: dict[str, Any], status: int, param: str, served: Any
) -> None:
    async with admin_of(served) as admin:
        answer = await admin.post("/api/v1/providers", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
