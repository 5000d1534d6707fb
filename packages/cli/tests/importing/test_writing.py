from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.importing.plan import Plan, PlannedAlias, PlannedConfiguration, PlannedProvider
from llm_manager.cli.importing.writing import Writing, Written
from llm_manager.client.admin import Admin
from llm_manager.client.transport import Answer
from llm_manager.core.facts import load_facts
from llm_manager.kit.secrets import Secret

FACTS = load_facts()
KEY = "sk-canary-0123456789-abcd"
BODY = {"name": "fast", "provider": "groq", "upstream_model": "m", "context_window": None, "is_enabled": True}


class FakeGateway:
    """The admin API as far as an import uses it, in the place of its transport."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.held: dict[str, dict[str, Any]] = {"providers": {}, "configurations": {}, "aliases": {}}
        self.calls: list[str] = []
        self._fails_at = fails_at

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        path = path.removeprefix("/api/v1")
        if method == "GET":
            rows = [{"name": name, **row} for name, row in self.held[path.removeprefix("/")].items()]
            return Answer(200, {}, {"data": rows, "next_cursor": None})
        self._write(method, path, body)
        return Answer(200, {}, {})

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        self.calls.append(f"{method} {path}")
        if self.calls[-1] == self._fails_at:
            raise CommandError("The gateway answered 503: later")
        said = dict(body)
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


def _shown(said: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = said.get("headers") or {}
    headers = {name: "***" if "token" in name else value for name, value in given.items() if value is not None}
    return said | ({"headers": headers} if "headers" in said else {})


def _plan(**changed: Any) -> Plan:
    said: dict[str, Any] = {"name": "groq", "kind": "groq", "key": Secret(KEY), "key_name": "GROQ_API_KEY"}
    said |= {"headers": {"x-token": Secret("canary"), "x-team": Secret("a")}}
    provider = PlannedProvider(**said | changed)
    return Plan([provider], [PlannedConfiguration("fast", "groq", BODY)], [PlannedAlias("best", "fast")])


def _write(gateway: FakeGateway, plan: Plan, *, replaces: bool = False) -> list[Written]:
    writing = Writing(Admin(gateway), FACTS, replaces=replaces)
    writing.write(plan)
    return [result.written for result in writing.results]


def test_a_second_run_changes_nothing() -> None:
    gateway = FakeGateway()
    assert _write(gateway, _plan()) == [Written.MADE] * 3
    made = ["POST /providers", "POST /providers/groq/keys", "POST /configurations", "POST /aliases"]
    assert gateway.calls == made
    assert gateway.held["providers"]["groq"]["api_keys"][0]["name"] == "GROQ_API_KEY"
    assert _write(gateway, _plan()) == [Written.UNCHANGED] * 3
    assert _write(gateway, _plan(key=None)) == [Written.UNCHANGED] * 3
    assert gateway.calls == made


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
    gateway = FakeGateway()
    _write(gateway, _plan())
    seen = len(gateway.calls)
    assert _write(gateway, _plan(**changed)) == [Written.CONFLICT] * 3
    assert len(gateway.calls) == seen
    assert _write(gateway, _plan(**changed), replaces=True) == [Written.REPLACED, Written.UNCHANGED, Written.UNCHANGED]
    assert _write(gateway, _plan(**changed)) == [Written.UNCHANGED] * 3


def test_another_kind_cannot_be_replaced() -> None:
    gateway = FakeGateway()
    _write(gateway, _plan())
    assert _write(gateway, _plan(kind="xai"), replaces=True)[0] is Written.CONFLICT


def test_a_key_that_was_missing_is_given_later() -> None:
    gateway = FakeGateway()
    _write(gateway, _plan(key=None))
    assert _write(gateway, _plan())[0] is Written.REPLACED
    assert gateway.calls[-1] == "POST /providers/groq/keys"


@pytest.mark.parametrize("at", ["POST /providers/groq/keys", "POST /configurations", "POST /aliases"])
def test_what_broke_off_is_said_and_continued(at: str) -> None:
    gateway = FakeGateway(fails_at=at)
    with pytest.raises(CommandError) as caught:
        _write(gateway, _plan())
    assert "503: later" in caught.value.message
    assert "Running the same command again continues." in caught.value.message
    assert ("provider groq" in caught.value.message) is True
    assert "canary" not in caught.value.message
    again = FakeGateway()
    again.held = gateway.held
    _write(again, _plan())
    assert _write(again, _plan()) == [Written.UNCHANGED] * 3
