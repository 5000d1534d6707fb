"""Packages over a real gateway and both databases: whole or not at all, tried without a trace, out and in again."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

import llm_manager.usage.prices
from llm_manager.gateway.packages.schemas import MOST_ENTRIES
from llm_manager.gateway.packages.service import bundled_packages

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]
PRICES = Path(llm_manager.usage.prices.__file__).parent / "data"
PACKAGE: Json = {
    "manifest": {"format": 1, "name": "team-models", "version": "1.2.0", "title": "Models of a team"},
    "providers": [
        {"name": "mine", "kind": "openai", "base_url": "https://llm.example.com/v1", "timeouts": {"total": 30}},
        {"name": "local", "kind": "custom", "base_url": "http://127.0.0.1:9/v1", "paths": {"chat": "/x/chat"}},
    ],
    "apps": [{"name": "shop", "description": "the shop", "allowed_models": ["fast", "best"]}],
    "configurations": [
        {
            "name": "fast",
            "provider": "mine",
            "upstream_model": "gpt-small",
            "is_enabled": True,
            "default_parameters": {"temperature": 0.2, "stop": ["é"]},
            "capabilities": ["streaming", "tools"],
            "tags": {"team": "search"},
            "use_cases": ["summaries"],
            "context_window": 128_000,
        },
        {"name": "own", "provider": "local", "app": "shop", "is_enabled": False, "is_default": True},
    ],
    "aliases": [{"name": "best", "configuration": "fast", "description": "the best one"}],
    "overrides": [
        {"name": "careful", "app": "shop", "configuration": "fast", "parameters": {"top_p": 0.5}, "priority": -5},
        {"name": "careful", "app": "default", "context": "review", "strategy": "replace", "parameters": {"seed": 1}},
    ],
}
RESOURCES = ("providers", "apps", "configurations", "aliases", "overrides")


@asynccontextmanager
async def admin_of(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{served.url}/api/v1", auth=ADMIN, timeout=20) as client:
        yield client


async def _import(admin: httpx2.AsyncClient, package: Json, *, status: int = 200, **query: Any) -> Json:
    answer = await admin.post("/packages", json=package, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def _all(admin: httpx2.AsyncClient) -> Json:
    rows = {name: (await admin.get(f"/{name}", params={"limit": 500})).json()["data"] for name in RESOURCES}
    return {**rows, "audit": (await admin.get("/audit")).json()["data"]}


async def _exported(admin: httpx2.AsyncClient, **query: Any) -> Json:
    answer = await admin.get("/packages/export", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _counts(created: int = 0, changed: int = 0, kept: int = 0, unchanged: int = 0) -> Json:
    return {"created": created, "changed": changed, "kept": kept, "unchanged": unchanged}


@pytest.mark.requirement("S13")
async def test_a_package_comes_in_whole_and_what_goes_out_comes_in_the_same_elsewhere(
    start: Any, url: str, tmp_path: Path
) -> None:
    async with start(environ={}, database_url=url) as served, admin_of(served) as admin:
        before = await _all(admin)
        tried = await _import(admin, PACKAGE, dry_run=True)
        assert await _all(admin) == before
        assert (await admin.get("/packages")).json()["data"][-1]["state"] == "available"
        done = await _import(admin, PACKAGE)
        assert (tried["is_dry_run"], done["is_dry_run"]) == (True, False)
        assert {**tried, "is_dry_run": False} == done
        assert done["statistics"] == {
            "providers": _counts(created=2),
            "apps": _counts(created=1),
            "configurations": _counts(created=2),
            "aliases": _counts(created=1),
            "overrides": _counts(created=2),
        }
        assert done["without_key"] == ["mine"]
        again = await _import(admin, PACKAGE)
        assert {entry["outcome"] for entry in again["entries"]} == {"unchanged"}
        told = [entry for entry in (await _all(admin))["audit"] if entry["resource"] == "packages"]
        assert [(one["action"], one["resource_id"], one["after"]["version"]) for one in told] == [
            ("changed", "team-models", "1.2.0"),
            ("created", "team-models", "1.2.0"),
        ]
        assert served.gateway.parts.catalogue.snapshot.aliases["best"].configuration == "fast"
        out = await _exported(admin, name="team-models", version="1.2.0", title="Models of a team")
        assert (out["manifest"], out["overrides"]) == (
            PACKAGE["manifest"],
            sorted(PACKAGE["overrides"], key=lambda one: one["app"]),
        )
        for name in ("providers", "apps", "configurations", "aliases"):
            assert [one for one in PACKAGE[name] if one not in out[name]] == []
        assert {entry["outcome"] for entry in (await _import(admin, out))["entries"]} == {"unchanged"}
    elsewhere = f"sqlite+aiosqlite:///{tmp_path / 'elsewhere.db'}"
    async with start(environ={}, database_url=elsewhere) as served, admin_of(served) as admin:
        await _import(admin, out)
        assert await _exported(admin, name="team-models", version="1.2.0", title="Models of a team") == out


@pytest.mark.requirement("S13")
async def test_what_is_there_and_is_another_is_kept_unless_it_is_forced(start: Any) -> None:
    async with start(environ={}) as served, admin_of(served) as admin:
        await _import(admin, PACKAGE)
        await admin.patch("/configurations/fast", json={"tags": {"team": "mine"}, "description": "by hand"})
        kept = await _import(admin, PACKAGE)
        [entry] = [one for one in kept["entries"] if one["outcome"] != "unchanged"]
        assert entry == {
            "resource": "configurations",
            "name": "fast",
            "outcome": "kept",
            "differences": ["description", "tags"],
        }
        assert (await admin.get("/configurations/fast")).json()["tags"] == {"team": "mine"}
        tried = await _import(admin, PACKAGE, force=True, dry_run=True)
        assert tried["statistics"]["configurations"] == _counts(changed=1, unchanged=1)
        assert (await admin.get("/configurations/fast")).json()["tags"] == {"team": "mine"}
        await _import(admin, PACKAGE, force=True)
        row = (await admin.get("/configurations/fast")).json()
        assert (row["tags"], row["description"]) == ({"team": "search"}, "")
        [told] = [one for one in (await _all(admin))["audit"] if one["resource_id"] == row["id"]][:1]
        assert told["after"] == {"name": "fast", "tags": {"team": "search"}, "description": ""}


BROKEN: list[tuple[str, Json, str, str]] = [
    ("unknown field", {"aliases": [{"name": "a", "configuration": "fast", "colour": 1}]}, "aliases.0.colour", ""),
    ("wrong type", {"configurations": [{"name": 1, "provider": "mine"}]}, "configurations.0.name", ""),
    ("another format", {"manifest": {**PACKAGE["manifest"], "format": 2}}, "manifest.format", ""),
    ("a secret", {"providers": [{"name": "x", "kind": "openai", "api_key": "sk-canary"}]}, "providers.0.api_key", ""),
    ("nobody's model", {"aliases": [{"name": "a", "configuration": "nobody"}]}, "aliases.0.configuration", "'nobody'"),
    ("no such kind", {"providers": [{"name": "x", "kind": "opnai"}]}, "providers.0.kind", "did you mean openai"),
    ("out of range", {"configurations": [
        {"name": "hot", "provider": "mine", "upstream_model": "m", "default_parameters": {"temperature": 9}}
    ]}, "configurations.0.default_parameters", "temperature"),
    ("twice", {"aliases": [{"name": "a", "configuration": "fast"}] * 2}, "aliases.1", "said twice"),
    ("no name", {"configurations": [{"provider": "mine"}]}, "configurations.0.name", "give a name"),
    ("too many together", {
        "apps": [{"name": f"a{i}"} for i in range(MOST_ENTRIES - 1)]
    }, "", "make two of it"),
    ("too many", {"apps": [{"name": f"a{i}"} for i in range(MOST_ENTRIES + 1)]}, "apps", ""),
]  # fmt: skip


@pytest.mark.requirement("S13")
@pytest.mark.parametrize(("change", "param", "says"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
async def test_a_wrong_entry_is_named_and_nothing_is_changed(start: Any, change: Json, param: str, says: str) -> None:
    async with start(environ={}) as served, admin_of(served) as admin:
        before = await _all(admin)
        answer = await admin.post("/packages", json={**PACKAGE, **change})
        assert answer.status_code == (404 if "nobody" in says else 422)
        error = answer.json()["error"]
        assert (error["param"] or "").startswith(param)
        assert says in error["message"]
        assert "sk-canary" not in str(error)
        assert await _all(admin) == before
        assert "mine" not in served.gateway.parts.catalogue.snapshot.providers


@pytest.mark.requirement("S14")
async def test_packages_that_come_with_the_gateway_are_installed_and_say_in_which_version(start: Any) -> None:
    async with start(environ={}) as served, admin_of(served) as admin:
        listed = {one["name"]: one for one in (await admin.get("/packages")).json()["data"]}
        assert {one["state"] for one in listed.values()} == {"available"}
        for name, one in listed.items():
            shown = (await admin.get(f"/packages/{name}")).json()
            assert shown["manifest"]["version"] == one["version"]
            assert {resource: len(shown[resource]) for resource in RESOURCES} == one["contents"]
            done = await admin.post(f"/packages/{name}/install")
            assert done.status_code == 200, done.text
            # what is shown is what is installed
            again = await _import(admin, shown)
            assert {entry["outcome"] for entry in again["entries"]} == {"unchanged"}
            assert done.json()["without_key"] == [one["name"] for one in shown["providers"]]
        await _import(admin, {"manifest": {"name": "openai-starter", "version": "0"}})
        await _import(admin, PACKAGE)
        after = {one["name"]: one for one in (await admin.get("/packages")).json()["data"]}
        assert after.pop("team-models")["version"] is None
        assert after.pop("openai-starter")["state"] == "outdated"
        assert {one["state"] for one in after.values()} == {"installed"}
        assert (await admin.get("/packages/nobody")).status_code == 404
        assert (await admin.post("/packages/nobody/install")).status_code == 404


def test_every_model_of_a_package_that_comes_with_the_gateway_has_a_price() -> None:
    priced = {
        (price["kind"], model)
        for price in map(tomllib.loads, (file.read_text() for file in PRICES.glob("*.toml")))
        for line in price["prices"]
        for model in line["models"]
    }
    packages = bundled_packages()
    assert len(packages) >= 5
    for package in packages.values():
        kinds = {provider.name: provider.kind for provider in package.providers}
        named = {(kinds[one.provider], one.upstream_model) for one in package.configurations}
        assert named - priced == set()
        assert all(one.description and one.use_cases for one in package.configurations)
        assert package.manifest.source


async def test_it_takes_the_permission_of_everything_that_is_inside(start: Any) -> None:
    async with start(environ={}) as served, admin_of(served) as admin:
        made = await admin.post(
            "/keys",
            json={
                "name": "ci",
                "app": "default",
                "scopes": ["llm-manager:models:manage", "llm-manager:base:view"],
            },
        )
        headers = {"authorization": f"Bearer {made.json()['api_key']}"}
        async with httpx2.AsyncClient(base_url=f"{served.url}/api/v1", headers=headers) as program:
            refused = await program.post("/packages", json=PACKAGE)
            assert (refused.status_code, "providers:manage" in refused.text) == (403, True)
            models = {"manifest": PACKAGE["manifest"], "configurations": [{"name": "e", "provider": "echo"}]}
            assert (await program.post("/packages", json=models)).status_code == 200
        assert (await admin.get("/apps/shop")).status_code == 404


async def test_what_is_archived_stays_here_and_what_leads_to_it(start: Any) -> None:
    async with start(environ={}) as served, admin_of(served) as admin:
        await _import(admin, PACKAGE)
        assert (await admin.post("/providers/mine/archive")).is_success
        out = await _exported(admin)
        assert ("mine" in str(out["providers"]), [one["name"] for one in out["aliases"]]) == (False, ["default"])
        assert [one["name"] for one in out["configurations"] if one["name"] in ("fast", "own")] == ["own"]
        assert [one["app"] for one in out["overrides"]] == ["default"]
        only = await _exported(admin, resources=["apps", "aliases"])
        assert [name for name in RESOURCES if only[name]] == ["apps", "aliases"]
        assert (await admin.get("/packages/export", params={"resources": "keys"})).status_code == 422
