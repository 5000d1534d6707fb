"""The typed client of the admin API against a real gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llm_manager.client import AsyncClient, Client, Conflict, NotFound, PreconditionFailed
from llm_manager.client.admin import Admin
from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.testing.answering_worker import AnsweringWorker, answering

USER, PASSWORD = "admin", "seven wet umbrellas in May"


async def _check_apps(client: AsyncClient) -> None:
    apps = client.admin.apps
    shop = await apps.create(name="shop", description="the shop", allowed_models=["echo"])
    assert (shop["description"], shop["allowed_models"], shop["revision"]) == ("the shop", ["echo"], 1)
    assert (await apps.change("shop", is_enabled=False))["description"] == "the shop"
    nulled = await apps.change(shop["id"], description=None, allowed_models=None, if_match=2)
    assert (nulled["description"], nulled["allowed_models"], nulled["is_enabled"]) == ("", None, False)
    with pytest.raises(PreconditionFailed):
        await apps.change("shop", description="late", if_match=shop["revision"])
    with pytest.raises(Conflict, match="another app named 'shop'") as raised:
        await apps.create(name="shop")
    assert raised.value.param == "name"
    for number in range(4):
        await apps.create(name=f"app {number}/ü")
    page = await apps.list(limit=2)
    assert (len(page["data"]), page["next_cursor"] is None) == (2, False)
    names = [app["name"] async for app in apps.each(limit=2, is_enabled=True)]
    assert names == ["app 0/ü", "app 1/ü", "app 2/ü", "app 3/ü", "default"]


def _check_names_with_slashes(admin: Admin) -> None:
    made = admin.configurations.create(name="a/b c", provider="echo", upstream_model="echo", tags={"team": "x"})
    assert (made["tags"], made["is_enabled"], made["context_window"]) == ({"team": "x"}, True, None)
    alias = admin.aliases.create(name="x/../?y", configuration="a/b c")
    assert admin.aliases.get("x/../?y") == alias
    admin.aliases.delete("x/../?y", if_match=alias["revision"])
    with pytest.raises(NotFound):
        admin.aliases.get("x/../?y")
    admin.configurations.delete("a/b c")
    key = admin.keys.create(name="k", scopes=["inference"])
    rotated = admin.keys.rotate(key["id"], overlap_seconds=0)
    assert rotated["api_key"] != key["api_key"]
    assert admin.keys.get(key["id"])["replaced_by"] == rotated["id"]
    entries = list(admin.audit.each(resource="aliases", limit=1))
    assert [entry["action"] for entry in entries] == ["deleted", "created"]
    assert admin.audit.export().count("\n") >= len(entries)
    assert admin.session.get()["user"]["name"] == USER


async def _check_providers(client: AsyncClient, worker: AnsweringWorker) -> None:
    providers = client.admin.providers
    made = await providers.create(name="mine", kind="custom", base_url="http://127.0.0.1:9/v1", api_key="sk-one")
    assert [key["is_enabled"] for key in made["api_keys"]] == [True]
    added = await providers.create_key("mine", name="a b", api_key="sk-two")
    assert [key["name"] for key in added["api_keys"]][1:] == ["a b"]
    exchange = infer_pb2.UpstreamExchange(method="GET", url="http://127.0.0.1:9/v1/models", status=401)
    worker.script = answering(infer_pb2.Chunk(exchange=exchange).SerializeToString())
    tested = await providers.test("mine", key="a b")
    assert (tested["result"], tested["status"], tested["models"]) == ("refused", 401, None)
    await providers.delete_key("mine", "a b")
    assert await providers.delete("mine") is None
    with pytest.raises(NotFound):
        await providers.get("mine")


async def test_the_typed_client_does_what_the_admin_api_offers(start: Any, near_worker: AnsweringWorker) -> None:
    async with start() as served:
        async with AsyncClient(served.url, user=USER, password=PASSWORD) as client:
            await _check_apps(client)
            await _check_providers(client, near_worker)
        with Client(served.url, user=USER, password=PASSWORD) as sync:
            await asyncio.to_thread(_check_names_with_slashes, sync.admin)
