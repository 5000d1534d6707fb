"""What the environment gives and a person changes has one source, which is shown and outlives restarts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from llm_manager.gateway.catalogue.environment import Wanted, wanted
from llm_manager.kit.secrets import SecretBox
from llm_manager.testing.master_key import MASTER_KEY

ADMIN = ("admin", "seven wet umbrellas in May")
GIVEN = {
    "OPENAI_API_KEY": "sk-given-openai",
    "GROQ_API_KEY": "gsk-given-groq",
    "MISTRAL_API_KEY": "given-mistral",
    "CUSTOM_BASE_URL": "http://127.0.0.1:9/v1",
}
OTHER = {
    "OPENAI_API_KEY": "sk-other-openai",
    "GROQ_API_KEY": "gsk-other-groq",
    "MISTRAL_API_KEY": "other-mistral",
    "CUSTOM_BASE_URL": "http://127.0.0.1:10/v1",
}
# of groq
MODEL = "llama-3.3-70b-versatile"
OF_A_PERSON = "sk-of-a-person-0123456789"
Json = dict[str, Any]
# by path, what a person changes of what the environment gives
CHANGES: dict[str, Json] = {
    "providers/openai": {"api_key": OF_A_PERSON},
    "providers/custom": {"base_url": "http://127.0.0.1:11/v1"},
    "providers/groq": {"is_enabled": False},
    "configurations/gpt-4.1-mini": {"upstream_model": "gpt-4.1", "title": "Small"},
    "configurations/echo": {"is_enabled": False},
    "aliases/default": {"configuration": "gpt-4.1-mini"},
}


@asynccontextmanager
async def admin_of(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{served.url}/api/v1", auth=ADMIN, timeout=30) as client:
        yield client


async def shown(admin: httpx2.AsyncClient, path: str) -> Json:
    answer = await admin.get(f"/{path}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    # those say which variables are set now
    now = ("variables", "kept_variables")
    return {name: value for name, value in found.items() if name not in now}


async def changed(admin: httpx2.AsyncClient, path: str, body: Json) -> Json:
    answer = await admin.patch(f"/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return await shown(admin, path)


def credential(served: Any, provider: str) -> str:
    """The key that calls of a provider have."""
    sealed = served.gateway.parts.catalogue.snapshot.providers[provider].credentials[0]
    return SecretBox(MASTER_KEY).open(sealed, aad=b"provider-credential").decode()


@pytest.mark.requirement("B-20")
@pytest.mark.parametrize("later", [GIVEN, OTHER, {}], ids=["same", "other", "gone"])
async def test_no_restart_reverts_what_a_person_changed_and_it_is_shown_whose_it_is(later: Json, start: Any) -> None:
    async with start(environ=GIVEN) as served, admin_of(served) as admin:
        before = {path: await shown(admin, path) for path in CHANGES}
        assert {row["managed_by"] for row in before.values()} == {"environment"}
        after = {path: await changed(admin, path, body) for path, body in CHANGES.items()}
        assert {row["managed_by"] for row in after.values()} == {"admin"}
        assert {row["origin"] for path, row in after.items() if path.startswith("providers/")} == {"admin"}
        for path, row in after.items():
            # what a change does not say stays, the name above all
            others = row.keys() - CHANGES[path].keys() - {"managed_by", "origin", "revision", "updated_at", "api_keys"}
            assert {name: row[name] for name in others} == {name: before[path][name] for name in others}
            said = {name: value for name, value in CHANGES[path].items() if name != "api_key"}
            assert {name: row[name] for name in said} == said
    for _ in range(2):
        async with start(environ=later) as served, admin_of(served) as admin:
            assert {path: await shown(admin, path) for path in CHANGES} == after
            assert credential(served, "openai") == OF_A_PERSON
            snapshot = served.gateway.parts.catalogue.snapshot
            assert snapshot.providers["custom"].base_url == "http://127.0.0.1:11/v1"
            assert "groq" not in snapshot.providers


async def models_of(admin: httpx2.AsyncClient, provider: str) -> set[str]:
    """The names of the configurations that are on and lead to a provider."""
    rows = (await admin.get("/configurations", params={"limit": 500, "is_enabled": True})).json()["data"]
    return {row["name"] for row in rows if row["provider"] == provider}


@pytest.mark.requirement("B-20")
@pytest.mark.parametrize(
    ("change", "name"),
    [({"api_key": OF_A_PERSON}, "groq"), ({"name": "mine", "api_key": OF_A_PERSON}, "mine")],
    ids=["key", "name"],
)
async def test_who_takes_a_provider_over_keeps_its_models(change: Json, name: str, start: Any) -> None:
    given = {"GROQ_API_KEY": "gsk-given-groq"}
    async with start(environ=given) as served, admin_of(served) as admin:
        kept = await models_of(admin, "groq")
        assert MODEL in kept
        assert (await admin.patch("/providers/groq", json=change)).status_code == 200
    for later in ({}, given, {}):
        async with start(environ=later) as served, admin_of(served) as admin:
            assert await models_of(admin, name) == kept
            row = await shown(admin, f"configurations/{MODEL}")
            assert (row["managed_by"], row["provider"]) == ("environment", name)
            resolved = served.gateway.parts.catalogue.snapshot.configurations[MODEL]
            assert (resolved.provider, resolved.is_active) == (name, True)
            assert (await shown(admin, "aliases/default"))["is_enabled"]


@pytest.mark.requirement("B-20")
async def test_a_provider_that_a_person_took_over_and_put_away_keeps_its_models_for_its_return(start: Any) -> None:
    async with start(environ=GIVEN) as served, admin_of(served) as admin:
        kept = await models_of(admin, "openai")
        await changed(admin, "providers/openai", {"api_key": OF_A_PERSON})
        assert (await admin.post("/providers/openai/archive")).status_code == 200
    async with start(environ={}) as served, admin_of(served) as admin:
        assert "openai" not in served.gateway.parts.catalogue.snapshot.providers
        assert (await admin.post("/providers/openai/restore")).status_code == 200
        assert await models_of(admin, "openai") == kept
        assert "openai" in served.gateway.parts.catalogue.snapshot.providers


async def test_a_model_that_a_release_drops_goes_off_unless_its_provider_is_a_person_s(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(environ=GIVEN) as served, admin_of(served) as admin:
        kept = {name: await models_of(admin, name) for name in ("openai", "mistral")}
        await changed(admin, "providers/openai", {"api_key": OF_A_PERSON})

    def fewer(*said: Any, **options: Any) -> Wanted:
        asked = wanted(*said, **options)
        left = [one for one in asked.configurations if one.provider not in kept or one.name.endswith("-latest")]
        return replace(asked, configurations=tuple(left))

    monkeypatch.setattr("llm_manager.gateway.bootstrap.wanted", fewer)
    async with start(environ=GIVEN) as served, admin_of(served) as admin:
        assert await models_of(admin, "openai") == kept["openai"]
        assert await models_of(admin, "mistral") < kept["mistral"]


@pytest.mark.requirement("B-20")
async def test_what_nobody_took_over_follows_the_environment_and_keeps_what_only_people_give(start: Any) -> None:
    async with start(environ=GIVEN) as served, admin_of(served) as admin:
        # no variable gives a description, so it has a source of its own
        described = await changed(admin, "providers/mistral", {"description": "The one in Paris"})
        assert (described["managed_by"], described["origin"]) == ("environment", "environment")
    async with start(environ=OTHER) as served, admin_of(served) as admin:
        now = await shown(admin, "providers/mistral")
        assert (now["description"], now["managed_by"]) == ("The one in Paris", "environment")
        assert credential(served, "mistral") == "other-mistral"


@pytest.mark.requirement("B-20")
async def test_the_environment_s_key_stays_revoked_when_a_person_revoked_it(start: Any) -> None:
    async with start() as served, admin_of(served) as admin:
        key = next(one for one in (await admin.get("/keys")).json()["data"] if one["name"] == "bootstrap")
        assert key["managed_by"] == "environment"
        assert (await admin.delete(f"/keys/{key['id']}")).status_code == 204
    async with start() as served, admin_of(served) as admin:
        now = await shown(admin, f"keys/{key['id']}")
        assert (now["managed_by"], now["is_enabled"], bool(now["revoked_at"])) == ("admin", False, True)
        async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer) as client:
            assert (await client.get("/v1/models")).status_code == 401
