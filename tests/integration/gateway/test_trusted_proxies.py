"""Behind proxies: the client is who a trusted proxy says, for keys, for the audit and at the door of the admin API."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from nginx_proxy import nginx_before

from llm_manager.testing.answering_worker import AnsweringWorker

ADMIN = ("admin", "seven wet umbrellas in May")
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGES = {**CHAT, "max_tokens": 9}
HOT = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGES,
    "/api/v1/generate": {"configuration": "echo", "prompt": "Hi"},
}
CLIENT, STRANGER = "203.0.113.7", "198.51.100.9"
# the tests' own connections come from 127.0.0.1, where the first proxy is, or from 127.0.0.9, which is none
TRUSTED = "127.0.0.1, 10.0.0.0/8"


def from_(origin: str, *, address: str = "127.0.0.1", **more: Any) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
    """A client whose connections have this address."""
    transport = httpx2.AsyncHTTPTransport(local_address=address)
    return httpx2.AsyncClient(base_url=origin, transport=transport, timeout=30, **more)


async def made(served: Any, name: str, *allowed: str) -> dict[str, str]:
    """The header of a new key that is bound to networks."""
    async with from_(served.url, auth=ADMIN) as admin:
        answer = await admin.post("/api/v1/keys", json={"name": name, "allowed_addresses": list(allowed)})
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['api_key']}"}


async def statuses(client: httpx2.AsyncClient, key: dict[str, str], *forwarded: str) -> set[int]:
    """How the hot routes and one that the framework serves answer, each forwarded value as a header of its own."""
    headers = [*key.items(), *(("x-forwarded-for", value) for value in forwarded)]
    seen = {(await client.post(path, json=body, headers=headers)).status_code for path, body in HOT.items()}
    return seen | {(await client.get("/v1/models/echo", headers=headers)).status_code}


@pytest.mark.parametrize("setting", ["", "10.0.0.0/8, 203.0.113.0/24"])
async def test_who_is_not_trusted_is_not_believed(setting: str, start: Any, near_worker: AnsweringWorker) -> None:
    async with start(trusted_proxies=setting) as served, from_(served.url) as client:
        bound, here = await made(served, "bound", "203.0.113.0/24"), await made(served, "here", "127.0.0.1")
        for value in (CLIENT, f"{CLIENT}, 127.0.0.1", f"{CLIENT}, 10.0.0.1"):
            assert await statuses(client, bound, value) == {403}
        assert not near_worker.requests
        for value in (STRANGER, "garbage", ""):
            assert await statuses(client, here, value) == {200}
        tries = [client.get("/api/v1/keys", auth=("admin", "wrong"), headers=by(f"198.51.100.{n}")) for n in range(6)]
        assert [(await each).status_code for each in tries] == [401] * 5 + [429]
        assert await addresses_in_the_audit(client, CLIENT) == {"127.0.0.1"}


@pytest.mark.requirement("S37")
@pytest.mark.usefixtures("near_worker")
async def test_keys_are_held_to_the_address_of_the_client_behind_trusted_proxies(start: Any) -> None:
    async with start(trusted_proxies=TRUSTED) as served, from_(served.url) as client:
        bound = await made(served, "bound", "203.0.113.0/24", "2001:db8::/64")
        for good in (CLIENT, f"{CLIENT}:4711", "2001:db8::5", "[2001:db8::5]:4711", f"::ffff:{CLIENT}"):
            assert await statuses(client, bound, good) == {200}
        # two proxies, the second of which the gateway sees; and one that adds a line
        assert await statuses(client, bound, f"{CLIENT}, 10.0.0.2") == {200}
        assert await statuses(client, bound, CLIENT, "10.0.0.2") == {200}
        # what the client itself wrote stands on the left
        for spoofed in (f"{CLIENT}, {STRANGER}", f"{CLIENT}, 10.0.0.2, {STRANGER}", f"{CLIENT}, {STRANGER}, 10.0.0.2"):
            assert await statuses(client, bound, spoofed) == {403}
        assert await statuses(client, bound, CLIENT, STRANGER) == {403}
        # the proxy itself is no client of that network
        assert await statuses(client, bound) == {403}
        async with from_(served.url, address="127.0.0.9") as elsewhere:
            assert await statuses(elsewhere, bound, CLIENT) == {403}


@pytest.mark.usefixtures("near_worker")
async def test_what_nobody_understands_opens_no_key_that_the_proxy_would_open(start: Any) -> None:
    async with start(trusted_proxies=TRUSTED) as served, from_(served.url) as client:
        inside = await made(served, "inside", "127.0.0.0/8", "10.0.0.0/8")
        assert await statuses(client, inside) == {200}
        for garbage in ("garbage", "", "unknown", "10.0.0.2,", "999.0.0.1, 10.0.0.2", ",".join(["10.0.0.2"] * 21)):
            assert await statuses(client, inside, garbage) == {400}
        assert await statuses(client, inside, STRANGER) == {403}
        refused = await client.post("/v1/messages", json=MESSAGES, headers={**inside, **by("garbage")})
        assert refused.json()["type"] == "error"
        # of one connection each request is judged alone
        assert [await statuses(client, inside, "10.7.7.7"), await statuses(client, inside)] == [{200}, {200}]


async def test_guesses_are_counted_by_the_address_of_who_guesses(start: Any) -> None:
    async with start(trusted_proxies=TRUSTED) as served, from_(served.url) as client:

        async def guess(forwarded: str) -> int:
            return (await client.get("/api/v1/keys", auth=("admin", "wrong"), headers=by(forwarded))).status_code

        assert [await guess(CLIENT) for _ in range(6)] == [401] * 5 + [429]
        # a new left part is no new address
        assert await guess(f"192.0.2.1, {CLIENT}") == 429
        assert await guess(f"{CLIENT}, 10.0.0.2") == 429
        assert [await guess(STRANGER), await guess(f"{CLIENT}, {STRANGER}")] == [401, 401]
        said = {"name": "admin", "password": "wrong"}
        by_session = [
            await client.post("/api/v1/session", json=said, headers=by(each)) for each in (CLIENT, "192.0.2.2")
        ]
        assert [answer.status_code for answer in by_session] == [429, 401]


async def test_the_audit_has_the_address_of_the_client(start: Any) -> None:
    async with start(trusted_proxies=TRUSTED) as served, from_(served.url) as client:
        assert await addresses_in_the_audit(client, f"{STRANGER}, {CLIENT}, 10.0.0.2") == {CLIENT}


async def test_behind_a_real_nginx_the_client_is_who_connected_to_it(
    start: Any, near_worker: AnsweringWorker, tmp_path: Path
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "outer").mkdir()
    async with start(trusted_proxies="127.0.0.1") as served:
        bound = await made(served, "bound", "127.0.0.7")
        with (
            nginx_before(served.url, tmp_path / "inner") as inner,
            nginx_before(inner.plain, tmp_path / "outer") as outer,
        ):
            for origin in (inner.plain, outer.plain):
                async with from_(origin, address="127.0.0.7") as client:
                    assert await statuses(client, bound) == {200}
                    assert await statuses(client, bound, "garbage", "192.0.2.1") == {200}
                sent = len(near_worker.requests)
                async with from_(origin, address="127.0.0.8") as client:
                    assert await statuses(client, bound, "127.0.0.7") == {403}
                    assert await statuses(client, bound, "127.0.0.7", "127.0.0.7, 127.0.0.1") == {403}
                assert len(near_worker.requests) == sent


def by(forwarded: str) -> dict[str, str]:
    return {"x-forwarded-for": forwarded}


async def addresses_in_the_audit(client: httpx2.AsyncClient, forwarded: str) -> set[str]:
    """The addresses of the entries that one change makes."""
    answer = await client.post("/api/v1/apps", json={"name": "audited"}, auth=ADMIN, headers=by(forwarded))
    assert answer.status_code == 201, answer.text
    listed = (await client.get("/api/v1/audit", params={"resource": "apps"}, auth=ADMIN)).json()["data"]
    request_id = answer.headers["x-request-id"]
    return {entry["address"] for entry in listed if entry["request_id"] == request_id}
