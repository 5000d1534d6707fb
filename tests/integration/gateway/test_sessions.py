"""Sessions of people in browsers, over real HTTP."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from llm_manager.gateway.access.rules import COOKIE, ROLES, Role

ADMIN = ("admin", "seven wet umbrellas in May")
PASSWORD = "a sentence that nobody guesses"
PATH = "/api/v1/session"
Json = dict[str, Any]


class Browser:
    """Keeps its cookie as browsers do on localhost, where they take Secure ones without TLS; httpx2 would not."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.cookie = self.token = ""

    async def log_in(self, name: str, password: str, **headers: str) -> httpx2.Response:
        body = {"name": name, "password": password}
        answer = await self.client.post(PATH, json=body, headers={**self.shown(), **headers})
        if answer.is_success:
            self.cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
            self.token = answer.json()["csrf_token"]
        return answer

    def shown(self) -> dict[str, str]:
        return {"cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}

    async def ask(self, method: str, path: str, *, token: str | None = None, **said: Any) -> httpx2.Response:
        headers = {**self.shown(), **({"x-csrf-token": token} if token is not None else {})}
        return await self.client.request(method, path, headers=headers, **said)


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=30) as client:
        yield client


@pytest.fixture
async def browser(served: Any) -> AsyncGenerator[Browser]:
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
        yield Browser(client)


async def make(admin: httpx2.AsyncClient, name: str, *roles: str) -> Json:
    answer = await admin.post("/api/v1/users", json={"name": name, "roles": roles, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_session_begins_with_a_cookie_for_this_host_alone_and_ends_with_the_log_out(
    admin: httpx2.AsyncClient, browser: Browser
) -> None:
    user = await make(admin, "vera", "developer")
    answer = await browser.log_in("vera", PASSWORD, **{"user-agent": "Browser/1"})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["user"], said["permissions"]) == (user, sorted(ROLES[Role.DEVELOPER]))
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert set(flags) == {"Max-Age=604800", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert (cookie.partition("=")[0], len(browser.cookie)) == ("__Host-llm-manager-session", 43)
    assert answer.headers["cache-control"] == "no-store"
    assert browser.cookie not in answer.text
    assert (await browser.ask("GET", PATH)).json() == said
    [listed] = (await admin.get("/api/v1/users/vera/sessions")).json()["data"]
    assert (listed["address"], listed["agent"]) == ("127.0.0.1", "Browser/1")
    out = await browser.ask("DELETE", PATH, token=browser.token)
    assert (out.status_code, out.headers["set-cookie"].split("; ")[:2]) == (204, [f"{COOKIE}=", "Max-Age=0"])
    assert (await browser.ask("GET", PATH)).status_code == 401
    assert (await admin.get("/api/v1/users/vera/sessions")).json()["data"] == []
    query = {"resource": "sessions", "resource_id": user["id"]}
    told = (await admin.get("/api/v1/audit", params=query)).json()["data"]
    assert [(entry["action"], entry["actor_name"], entry["before"], entry["after"]) for entry in told] == [
        ("deleted", "vera", {"name": "vera", "sessions": 1}, None),
        ("created", "vera", None, {"name": "vera", "agent": "Browser/1"}),
    ]


async def test_what_changes_something_needs_the_token_of_the_session(
    admin: httpx2.AsyncClient, browser: Browser
) -> None:
    await make(admin, "carl", "super-admin")
    await make(admin, "dora", "super-admin")
    await browser.log_in("dora", PASSWORD)
    of_dora = browser.token
    browser.cookie = ""
    await browser.log_in("carl", PASSWORD)
    assert (await browser.ask("GET", "/api/v1/apps")).status_code == 200
    for token in (None, "", "x", of_dora, browser.cookie, "ü", browser.token + "x", "t" * 5_000):
        headers = [(b"cookie", f"{COOKIE}={browser.cookie}".encode())]
        if token is not None:
            headers.append((b"x-csrf-token", token.encode()))
        for method, path in (("POST", "/api/v1/apps"), ("PATCH", "/api/v1/users/carl"), ("DELETE", PATH)):
            answer = await browser.client.request(method, path, headers=headers, json={"name": "csrf"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf_token_missing"), answer.text
    twice = [("cookie", f"{COOKIE}={browser.cookie}"), *[("x-csrf-token", browser.token)] * 2]
    assert (await browser.client.post("/api/v1/apps", headers=twice, json={"name": "csrf"})).status_code == 403
    assert (await browser.ask("POST", "/api/v1/apps", token=browser.token, json={"name": "csrf"})).status_code == 201
    assert (await admin.post("/api/v1/apps", json={"name": "by basic"})).status_code == 201


async def test_a_log_in_ends_the_session_that_was_there_before(admin: httpx2.AsyncClient, browser: Browser) -> None:
    await make(admin, "fixed")
    await browser.log_in("fixed", PASSWORD)
    planted = browser.cookie
    assert (await browser.log_in("fixed", "wrong")).status_code == 401
    assert (await browser.ask("GET", PATH)).status_code == 200
    assert (await browser.log_in("fixed", PASSWORD)).status_code == 200
    assert browser.cookie != planted
    assert (await browser.ask("GET", PATH)).status_code == 200
    browser.cookie = planted
    assert (await browser.ask("GET", PATH)).status_code == 401
    # a value that the server never gave is not taken over either
    browser.cookie = "p" * 43
    await browser.log_in("fixed", PASSWORD)
    assert browser.cookie != "p" * 43


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({"is_enabled": False}, False),
        ({"password": PASSWORD + "!"}, False),
        ({"roles": []}, False),
        ({"title": "T", "roles": ["developer"], "is_enabled": True}, True),
    ],
)
async def test_who_is_switched_off_or_changed_is_out_at_once(
    change: Json, goes_on: bool, admin: httpx2.AsyncClient, browser: Browser
) -> None:
    name = f"out {sorted(change)}"
    await make(admin, name, "developer")
    await browser.log_in(name, PASSWORD)
    assert (await admin.patch(f"/api/v1/users/{name}", json=change)).is_success
    assert (await browser.ask("GET", PATH)).is_success == goes_on
    if change.get("is_enabled") is False:
        await admin.patch(f"/api/v1/users/{name}", json={"is_enabled": True})
        assert (await browser.ask("GET", PATH)).status_code == 401
    assert (await browser.log_in(name, PASSWORD)).is_success == ("password" not in change)


async def test_all_sessions_of_a_user_are_ended_together(admin: httpx2.AsyncClient, browser: Browser) -> None:
    await make(admin, "many")
    other = Browser(browser.client)
    await browser.log_in("many", PASSWORD)
    await other.log_in("many", PASSWORD)
    assert len((await admin.get("/api/v1/users/many/sessions")).json()["data"]) == 2
    assert (await admin.delete("/api/v1/users/many/sessions")).status_code == 204
    assert [(await one.ask("GET", PATH)).status_code for one in (browser, other)] == [401, 401]


async def test_unknown_wrong_and_switched_off_are_answered_alike_and_slowed_down_alike(start: Any) -> None:
    async with start() as served, httpx2.AsyncClient(base_url=served.url) as client:
        await client.post("/api/v1/users", auth=ADMIN, json={"name": "off", "password": PASSWORD, "is_enabled": False})
        tries = [("admin", "wrong"), ("nobody", "wrong"), ("off", PASSWORD), ("a:b", "x"), ("\0", "x"), ("off", "x")]
        answers = [await Browser(client).log_in(*one) for one in tries]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert len({answer.text for answer in answers[:5]}) == 1
        assert all("set-cookie" not in answer.headers for answer in answers)
        told = (await client.get("/api/v1/audit", auth=ADMIN, params={"resource": "sessions"})).json()["data"]
        assert [(entry["outcome"], entry["actor_name"]) for entry in told] == [
            ("refused", name) for name in ["(unknown)"] * 4 + ["admin"]
        ]


async def test_what_comes_with_a_hostile_cookie_or_header_is_refused(
    admin: httpx2.AsyncClient, browser: Browser, served: Any
) -> None:
    await make(admin, "hostile")
    await browser.log_in("hostile", PASSWORD)
    good = f"{COOKIE}={browser.cookie}".encode()
    bad: list[list[tuple[bytes, bytes]]] = [
        [(b"cookie", f"{COOKIE}={'x' * 10_000}".encode())],
        [(b"cookie", good + b"; " + good)],
        [(b"cookie", good), (b"cookie", good)],
        [(b"cookie", good[:-1])],
        [(b"cookie", good + b"=")],
        [(b"cookie", f"{COOKIE}=".encode() + b"\xff" * 43)],
        [(b"cookie", f"{COOKIE}=' OR 1=1 --".encode())],
        [(b"cookie", b";;;=;" * 500)],
        [(b"cookie", f'{COOKIE}="{browser.cookie}"'.encode())],
        [(b"cookie", good), (b"authorization", b"Basic !!!")],
        [(b"cookie", good), (b"authorization", b"Bearer x")],
        [(b"cookie", good), (b"authorization", b"")],
        [(b"authorization", b"Basic YTpi"), (b"authorization", b"Basic YTpi")],
        [(b"authorization", b"Basic \xff\xff")],
        [(b"authorization", b"Basic AGE6Yg==")],
    ]
    async with httpx2.AsyncClient(base_url=served.url) as client:
        for headers in bad:
            answer = await client.get(PATH, headers=headers)
            assert answer.status_code in {401, 429}, (headers, answer.text)
        among = await client.get(PATH, headers=[(b"cookie", b"a=b; __Host-x=\xff;" + good + b" ; c")])
        assert among.status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "param"),
    [
        (b'{"name": "a", "password": "b"}', "text/plain", 415, None),
        (b"name=a&password=b", "application/x-www-form-urlencoded", 415, None),
        (b'{"name": "a", "password": "b"}', None, 415, None),
        (b"", "application/json", 400, None),
        (b"{", "application/json", 400, None),
        (b"[]", "application/json", 422, None),
        (b"null", "application/json", 422, None),
        (b"[" * 10_000, "application/json", 400, None),
        (b'{"name": "a"}', "application/json", 422, "password"),
        (b'{"name": null, "password": "b"}', "application/json", 422, "name"),
        (b'{"name": ["a"], "password": "b"}', "application/json", 422, "name"),
        (b'{"name": "a", "password": 7}', "application/json", 422, "password"),
        (b'{"name": "a", "password": "b", "remember": true}', "application/json", 422, "remember"),
        (b'{"name": "\\ud800", "password": "b"}', "application/json", 400, None),
        (b'{"name": "a", "password": "\xff"}', "application/json", 400, None),
        (b'{"name": "a", "password": "' + b"x" * 10_000 + b'"}', "application/json", 422, "password"),
        (b'{"name": "' + b"x" * 20_000 + b'", "password": "b"}', "application/json", 413, None),
    ],
)
async def test_a_log_in_that_is_no_json_of_ours_is_refused(
    body: bytes, kind: str | None, status: int, param: str | None, browser: Browser
) -> None:
    headers = {"content-type": kind} if kind is not None else {}
    answer = await browser.client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_who_comes_by_basic_or_by_key_has_no_session(
    admin: httpx2.AsyncClient, http: httpx2.AsyncClient, browser: Browser
) -> None:
    who = (await admin.get(PATH)).json()
    assert (who["user"]["name"], who["csrf_token"], who["expires_at"]) == ("admin", None, None)
    assert (await admin.delete(PATH)).status_code == 409
    assert (await http.get(PATH)).status_code == 403
    assert (await browser.ask("GET", PATH)).status_code == 401
    # the header counts, so the session lends it nothing
    await make(admin, "weak")
    await browser.log_in("admin", ADMIN[1])
    async with httpx2.AsyncClient(base_url=str(browser.client.base_url), auth=("weak", PASSWORD)) as client:
        both = await client.get("/api/v1/users", headers=browser.shown())
    assert both.status_code == 403


async def test_sessions_outlive_a_start_and_are_shared_by_gateways(start: Any, log_lines: io.StringIO) -> None:
    async with start() as one, start() as two, httpx2.AsyncClient() as client:
        first = Browser(client)
        for served in (one, two):
            client.base_url = served.url
            if not first.cookie:
                await first.log_in(*ADMIN)
            assert (await first.ask("GET", "/api/v1/users")).status_code == 200
            made = await first.ask("POST", "/api/v1/apps", token=first.token, json={"name": f"of {served.url}"})
            assert made.status_code == 201
    async with start() as third, httpx2.AsyncClient(base_url=third.url) as client:
        first.client = client
        assert (await first.ask("GET", PATH)).json()["csrf_token"] == first.token
        assert (await first.ask("DELETE", PATH, token=first.token)).status_code == 204
    for secret in (first.cookie, first.token, ADMIN[1]):
        assert secret not in log_lines.getvalue()
