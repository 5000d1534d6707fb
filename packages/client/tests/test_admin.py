from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_manager.client.admin import UNSET, Admin, AsyncAdmin
from llm_manager.client.transport import Answer
from llm_manager.gateway.app import openapi

NAME, QUOTED = "a/b c?ü", "a%2Fb%20c%3F%C3%BC"


@dataclass(frozen=True)
class Asked:
    """A request as the transport gets it."""

    method: str
    path: str
    query: Mapping[str, Any] | None
    body: Any
    headers: Mapping[str, str] | None


@dataclass
class FakeTransport:
    """Answers in turn, and with nothing when there is no more."""

    answers: list[Any] = field(default_factory=list[Any])
    asked: list[Asked] = field(default_factory=list[Asked])

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        self.asked.append(Asked(method, path, query, body, headers))
        return Answer(200, {}, self.answers.pop(0) if self.answers else None)


class FakeAsyncTransport(FakeTransport):
    async def request(self, method: str, path: str, **parts: Any) -> Answer:  # pyright: ignore[reportIncompatibleMethodOverride] # the same, awaited
        return super().request(method, path, **parts)


def methods(admin: Admin | AsyncAdmin) -> list[tuple[str, Callable[..., Any]]]:
    """Every method that is an operation: all but those that go through pages."""
    found: list[tuple[str, Callable[..., Any]]] = []
    for resource, calls in vars(admin).items():
        for name, method in inspect.getmembers(calls, inspect.ismethod):
            if not name.startswith(("_", "each")):
                found.append((f"{resource}.{name}", method))
    return found


def operations() -> list[tuple[str, str]]:
    """Every operation of the admin API, with the name in its path."""
    return sorted(
        (verb.upper(), re.sub(r"\{\w+\}", QUOTED, path))
        for path, item in openapi()["paths"].items()
        for verb, operation in item.items()
        if path.startswith("/api/v1/") and {"ApiKey": []} not in operation.get("security", [])
    )


def required(method: Callable[..., Any]) -> dict[str, Any]:
    given = inspect.signature(method).parameters.values()
    return {one.name: NAME for one in given if one.default is inspect.Parameter.empty}


async def test_every_operation_of_the_document_is_one_method_of_both_clients() -> None:
    sync, asynchronous = FakeTransport(), FakeAsyncTransport()
    names = [name for name, _ in methods(Admin(sync))]
    for _, method in methods(Admin(sync)):
        method(**required(method))
    for name, method in methods(AsyncAdmin(asynchronous)):
        assert inspect.iscoroutinefunction(method), name
        await method(**required(method))
    assert sorted((one.method, one.path) for one in sync.asked) == operations()
    assert asynchronous.asked == sync.asked
    assert [name for name, _ in methods(AsyncAdmin(asynchronous))] == names
    assert "generate" not in vars(Admin(sync))


def test_both_clients_take_and_return_the_same() -> None:
    def shapes(admin: Admin | AsyncAdmin) -> dict[str, inspect.Signature]:
        return {name: inspect.signature(method) for name, method in methods(admin)}

    assert shapes(Admin(FakeTransport())) == shapes(AsyncAdmin(FakeAsyncTransport()))


def test_a_field_of_a_change_is_absent_null_or_a_value() -> None:
    transport = FakeTransport()
    apps = Admin(transport).apps
    apps.change("shop")
    apps.change("shop", description=None, allowed_models=UNSET)
    apps.change("shop", description="", is_enabled=False, if_match=3)
    assert [one.body for one in transport.asked] == [
        {},
        {"description": None},
        {"description": "", "is_enabled": False},
    ]
    assert [one.headers for one in transport.asked] == [{}, {}, {"if-match": "3"}]


def test_a_body_that_may_be_missing_is_sent_when_it_says_something() -> None:
    transport = FakeTransport()
    keys = Admin(transport).keys
    keys.rotate("k1")
    keys.rotate("k1", overlap_seconds=0)
    assert [one.body for one in transport.asked] == [None, {"overlap_seconds": 0}]


def test_a_query_holds_what_was_given_under_its_name_in_the_document() -> None:
    transport = FakeTransport()
    admin = Admin(transport)
    admin.apps.list()
    admin.apps.list(limit=2, is_enabled=False)
    admin.audit.list(from_="2026-11-01T00:00:00Z")
    admin.providers.models("p", refresh=True)
    assert [one.query for one in transport.asked] == [
        {},
        {"limit": 2, "is_enabled": "false"},
        {"from": "2026-11-01T00:00:00Z"},
        {"refresh": "true"},
    ]


def test_a_name_is_one_segment_of_the_path_whatever_is_in_it() -> None:
    transport = FakeTransport()
    aliases = Admin(transport).aliases
    for name in ("openai/gpt", "%2F", "..", "a.b", "?#"):
        aliases.get(name)
    paths = [one.path.removeprefix("/api/v1/aliases/") for one in transport.asked]
    assert paths == ["openai%2Fgpt", "%252F", "%2E%2E", "a.b", "%3F%23"]
    with pytest.raises(ValueError, match="An empty id or name is the address of nothing"):
        aliases.delete("")
    assert len(transport.asked) == len(paths)


PAGES: list[dict[str, Any]] = [
    {"data": [{"name": "a"}, {"name": "b"}], "next_cursor": "c1"},
    {"data": [], "next_cursor": "c2"},
    {"data": [{"name": "c"}], "next_cursor": None},
]


def test_each_asks_for_a_page_when_it_is_needed() -> None:
    transport = FakeTransport([*PAGES])
    found = Admin(transport).apps.each(limit=2, search="s")
    assert transport.asked == []
    assert next(found)["name"] == "a"
    assert len(transport.asked) == 1
    assert [app["name"] for app in found] == ["b", "c"]
    rest = {"limit": 2, "search": "s"}
    assert [one.query for one in transport.asked] == [rest, {**rest, "cursor": "c1"}, {**rest, "cursor": "c2"}]


async def test_each_of_the_async_client_goes_through_the_same_pages() -> None:
    transport = FakeAsyncTransport([*PAGES])
    assert [app["name"] async for app in AsyncAdmin(transport).apps.each()] == ["a", "b", "c"]
    assert [one.query for one in transport.asked] == [{}, {"cursor": "c1"}, {"cursor": "c2"}]


def test_pages_that_go_on_by_a_number_or_a_token_are_followed_too() -> None:
    transport = FakeTransport([{"data": [1], "next_before": 7}, {"data": [2], "next_before": None}])
    assert list(Admin(transport).audit.each(actor="ann")) == [1, 2]
    assert transport.asked[1].query == {"actor": "ann", "before": 7}
    transport = FakeTransport([{"data": [1], "next_page_token": "t"}, {"data": [2], "next_page_token": ""}])
    assert list(Admin(transport).usage.each_events()) == [1, 2]
    assert transport.asked[1].query == {"page_token": "t"}


def test_an_answer_is_given_back_as_it_came() -> None:
    transport = FakeTransport([{"id": "a1"}, "{}\n{}\n"])
    admin = Admin(transport)
    assert admin.apps.create(name="shop") == {"id": "a1"}
    assert transport.asked[0].body == {"name": "shop"}
    assert admin.audit.export() == "{}\n{}\n"
    admin.users.delete_sessions("ann")
    assert (transport.asked[-1].method, transport.asked[-1].path) == ("DELETE", "/api/v1/users/ann/sessions")
