"""What the environment gives and a person changes has one source, which is shown and outlives restarts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

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
    # those say which variables are set now, and for how many configurations they ask
    now = ("variables", "kept_variables", "models")
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
