from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.importing.plan import Plan, PlannedAlias, PlannedConfiguration, PlannedProvider
from llm_manager.cli.importing.writing import Writing, Written
from llm_manager.core.facts import load_facts
from llm_manager.kit.secrets import Secret

FACTS = load_facts()
KEY = "sk-canary-0123456789-abcd"
BODY = {"name": "fast", "provider": "groq", "upstream_model": "m", "context_window": None, "is_enabled": True}


class FakeAdmin:
    """The admin API as far as an import uses it."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.held: dict[str, dict[str, Any]] = {"providers": {}, "configurations": {}, "aliases": {}}
        self.calls: list[str] = []
        self._fails_at = fails_at

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        self.calls.append(f"{method} {path}")
        if self.calls[-1] == self._fails_at:
            raise CommandError("The gateway answered 503: later")
        said = dict(body or {})
        _, table, *rest = path.split("/")
        rows = self.held[table]
        match method, rest:
            case "POST", []:
                rows[said["name"]] = {"api_keys": [], "context_window": None} | _shown(said)
            case "POST", [name, "keys"]:
                rows[name]["api_keys"] = [{"name": said["name"], "fingerprint": f"…{said['api_key'][-4:]}"}]
            case _:
                key = said.pop("api_key", None)
                rows[rest[0]] |= _shown(said) | ({"api_keys": [{"fingerprint": f"…{key[-4:]}"}]} if key else {})

        for row in self.held["providers"].values():
            row["base_url"] = row["base_url"] or FACTS[row["kind"]].base_url

    def rows(self, path: str) -> list[dict[str, Any]]:
        return [{"name": name, **row} for name, row in self.held[path.removeprefix("/")].items()]


def _shown(said: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = said.get("headers") or {}
    headers = {name: "***" if "token" in name else value for name, value in given.items() if value is not None}
    return said | ({"headers": headers} if "headers" in said else {})


def _plan(**changed: Any) -> Plan:
    said: dict[str, Any] = {"name": "groq", "kind": "groq", "key": Secret(KEY), "key_name": "GROQ_API_KEY"}
    said |= {"headers": {"x-token": Secret("canary"), "x-team": Secret("a")}}
    provider = PlannedProvider(**said | changed)
    return Plan([provider], [PlannedConfiguration("fast", "groq", BODY)], [PlannedAlias("best", "fast")])


def _write(admin: FakeAdmin, plan: Plan, *, replaces: bool = False) -> list[Written]:
    writing = Writing(admin, FACTS, replaces=replaces)
    writing.write(plan)
    return [result.written for result in writing.results]


def test_a_second_run_changes_nothing() -> None:
    admin = FakeAdmin()
    assert _write(admin, _plan()) == [Written.MADE] * 3
    made = ["POST /providers", "POST /providers/groq/keys", "POST /configurations", "POST /aliases"]
    assert admin.calls == made
    assert admin.held["providers"]["groq"]["api_keys"][0]["name"] == "GROQ_API_KEY"
    assert _write(admin, _plan()) == [Written.UNCHANGED] * 3
    assert _write(admin, _plan(key=None)) == [Written.UNCHANGED] * 3
    assert admin.calls == made


@pytest.mark.parametrize(
    "changed",
    [
        {"base_url": "https://other/v1"},
        {"key": Secret("sk-canary-0123456789-wxyz")},
        {"timeouts": {"total": 5}},
        {"headers": {"x-team": Secret("b"), "x-token": Secret("canary")}},
        {"headers": {}},
    ],
)
def test_another_one_of_the_name_is_left_with_all_that_leads_to_it_unless_replaced(changed: dict[str, Any]) -> None:
    admin = FakeAdmin()
    _write(admin, _plan())
    seen = len(admin.calls)
    assert _write(admin, _plan(**changed)) == [Written.CONFLICT] * 3
    assert len(admin.calls) == seen
    assert _write(admin, _plan(**changed), replaces=True) == [Written.REPLACED, Written.UNCHANGED, Written.UNCHANGED]
    assert _write(admin, _plan(**changed)) == [Written.UNCHANGED] * 3


def test_another_kind_cannot_be_replaced() -> None:
    admin = FakeAdmin()
    _write(admin, _plan())
    assert _write(admin, _plan(kind="xai"), replaces=True)[0] is Written.CONFLICT


def test_a_key_that_was_missing_is_given_later() -> None:
    admin = FakeAdmin()
    _write(admin, _plan(key=None))
    assert _write(admin, _plan())[0] is Written.REPLACED
    assert admin.calls[-1] == "POST /providers/groq/keys"


@pytest.mark.parametrize("at", ["POST /providers/groq/keys", "POST /configurations", "POST /aliases"])
def test_what_broke_off_is_said_and_continued(at: str) -> None:
    admin = FakeAdmin(fails_at=at)
    with pytest.raises(CommandError) as caught:
        _write(admin, _plan())
    assert "503: later" in caught.value.message
    assert "Running the same command again continues." in caught.value.message
    assert ("provider groq" in caught.value.message) is True
    assert "canary" not in caught.value.message
    again = FakeAdmin()
    again.held = admin.held
    _write(again, _plan())
    assert _write(again, _plan()) == [Written.UNCHANGED] * 3
