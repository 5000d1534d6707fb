"""Keys that nobody made, and requests that would be somebody else's."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from llm_manager.core.ids import new_api_key
from llm_manager.testing.answering_worker import AnsweringWorker

ADMIN = ("admin", "seven wet umbrellas in May")
Json = dict[str, Any]
Headers = list[tuple[bytes, bytes]]
CHAT: Json = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
CONTENTS: Json = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
ROUTES: dict[str, tuple[bytes, Json]] = {
    "/v1/chat/completions": (b"authorization", CHAT),
    "/v1/messages": (b"x-api-key", CHAT),
    "/v1beta/models/echo:generateContent": (b"x-goog-api-key", CONTENTS),
    "/api/v1/keys": (b"authorization", {"name": "stolen"}),
}
STRANGER = new_api_key().token
HOSTILE: dict[str, bytes] = {
    "sql": b"' OR '1'='1'; DROP TABLE api_keys; --",
    "sql in a key": f"lm_live_' OR 1=1 --_{'a' * 46}".encode(),
    "format string": b"%s%n%x{0.__class__}${jndi:ldap://x}",
    "null": b"null",
    "undefined": b"undefined",
    "empty": b"",
    "spaces": b"   ",
    "array": b'["lm_live_a","lm_live_b"]',
    "object": b'{"$ne": null}',
    "10 kB": b"lm_live_" + b"a" * 10_000,
    "not ascii": "lm_live_schlüssel".encode(),
    "not utf-8": b"lm_live_\xff\xfe\x80",
    "tabs": b"lm_live_\tx\ty",
    "path": b"../../etc/passwd",
    "only the prefix": b"lm_live_",
    "a stranger's": STRANGER.encode(),
    "a stranger's, twice": f"{STRANGER},{STRANGER}".encode(),
    "of another checksum": STRANGER[:-1].encode() + (b"0" if STRANGER[-1] != "0" else b"1"),
}


@pytest.fixture
async def client(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, timeout=10) as opened:
        yield opened


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as opened:
        yield opened


async def _refusal(served: Any, path: str, headers: Headers, *, query: str = "") -> tuple[int, str]:
    """Ask, and return status and message of the refusal, which is in the shape of the path's dialect."""
    content = json.dumps(ROUTES[path][1]).encode()
    sent = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *headers]
    if all(name != b"host" for name, _ in headers):
        sent.append((b"host", b"gateway"))
    # by hand, because clients refuse to send half of it
    reader, writer = await asyncio.open_connection("127.0.0.1", served.gateway.port)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in sent)
    writer.write(f"POST {path}{query} HTTP/1.1\r\n".encode() + head + b"connection: close\r\n\r\n" + content)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    said, _, raw = answer.partition(b"\r\n\r\n")
    status, body = int(said.split(b" ")[1]), json.loads(raw)
    assert 400 <= status < 500
    match path:
        case "/v1/messages":
            assert body["type"] == "error"
            assert body["error"]["type"] in ("authentication_error", "permission_error", "invalid_request_error")
        case "/v1beta/models/echo:generateContent":
            assert (body["error"]["code"], bool(body["error"]["status"])) == (status, True)
        case _:
            assert set(body["error"]) == {"message", "type", "param", "code"}
    return status, body["error"]["message"]


def _in(name: bytes, secret: bytes) -> tuple[bytes, bytes]:
    return name, b"Bearer " + secret if name == b"authorization" else secret


@pytest.mark.requirement("S37")
@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_no_key_opens_nothing_and_is_refused_in_the_client_s_own_shape(
    path: str, served: Any, worker: AnsweringWorker, log_lines: io.StringIO
) -> None:
    place = ROUTES[path][0]
    for label, secret in HOSTILE.items():
        raw: Headers = [(place, secret)]
        for headers in ([_in(place, secret)], raw, [_in(place, secret)] * 2):
            status, message = await _refusal(served, path, headers)
            assert status == 401, label
            assert len(message) < 400
    assert not worker.requests
    logged = log_lines.getvalue()
    assert [label for label, secret in HOSTILE.items() if len(secret) > 20 and secret.decode("latin-1") in logged] == []
    assert STRANGER[21:] not in logged


@pytest.mark.requirement("S36")
@pytest.mark.parametrize("path", ROUTES)
async def test_a_request_with_two_keys_is_nobody_s(
    path: str, admin: httpx2.AsyncClient, served: Any, worker: AnsweringWorker, log_lines: io.StringIO
) -> None:
    made = (await admin.post("/api/v1/keys", json={"name": f"other {path}"})).json()
    one, other = served.api_key.encode(), made["api_key"].encode()
    twice = [_in(b"authorization", one), _in(b"authorization", other)]
    for headers in (
        twice,
        twice[::-1],
        [_in(b"authorization", one)] * 2,
        [_in(b"authorization", one), (b"x-api-key", other)],
        [_in(b"authorization", one), (b"x-goog-api-key", other)],
        [(b"x-api-key", one), (b"x-goog-api-key", other)],
        [(b"x-api-key", one), (b"x-api-key", other)],
    ):
        assert (await _refusal(served, path, headers))[0] in (401, 403)
    assert (await _refusal(served, path, [_in(b"authorization", one)], query=f"?key={other.decode()}"))[0] in (401, 403)
    assert not worker.requests
    logged = log_lines.getvalue()
    assert (one.decode()[21:] in logged, other.decode()[21:] in logged) == (False, False)


@pytest.mark.requirement("S37")
@pytest.mark.parametrize("path", ROUTES)
async def test_no_header_makes_an_address_another_one(
    path: str, admin: httpx2.AsyncClient, served: Any, worker: AnsweringWorker
) -> None:
    said = {"name": f"bound {path}", "allowed_addresses": ["10.1.2.3"], "scopes": ["inference"]}
    made = (await admin.post("/api/v1/keys", json=said)).json()
    key = _in(ROUTES[path][0], made["api_key"].encode())
    for spoofed in (
        (b"x-forwarded-for", b"10.1.2.3"),
        (b"x-forwarded-for", b"10.1.2.3, 127.0.0.1"),
        (b"forwarded", b"for=10.1.2.3"),
        (b"x-real-ip", b"10.1.2.3"),
        (b"true-client-ip", b"10.1.2.3"),
        (b"cf-connecting-ip", b"10.1.2.3"),
        (b"x-client-ip", b"10.1.2.3"),
        (b"host", b"10.1.2.3"),
    ):
        status, message = await _refusal(served, path, [key, spoofed])
        assert status in (401, 403)
        if path != "/api/v1/keys":
            assert (status, "from the address 127.0.0.1" in message) == (403, True)
    assert not worker.requests


@pytest.mark.requirement("S36")
async def test_a_header_never_says_whose_request_it_is(
    client: httpx2.AsyncClient, admin: httpx2.AsyncClient, worker: AnsweringWorker
) -> None:
    app = (await admin.post("/api/v1/apps", json={"name": "whose"})).json()
    made = (await admin.post("/api/v1/keys", json={"name": "whose", "app": app["id"]})).json()
    default = (await admin.get("/api/v1/apps/default")).json()
    bearer = {"authorization": f"Bearer {made['api_key']}"}
    names = ("x-llm-manager-app", "x-llm-manager-app-id", "x-llm-manager-api-key-id", "x-app-id", "openai-organization")
    for name in names:
        for said in ("default", default["id"]):
            answer = await client.post("/v1/chat/completions", json=CHAT, headers={**bearer, name: said})
            assert answer.status_code == 200
    attributions = [request.attribution for request in worker.requests]
    assert len(attributions) == 2 * len(names)
    assert {(one.app_id, one.api_key_id) for one in attributions} == {(app["id"], made["id"])}
