"""Bad input over real HTTP: always OpenAI's shape, always a request id, never a secret in the log."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from llm_manager.core.errors import RequestCancelled
from llm_manager.core.ids import new_api_key
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.testing.answering_worker import AnsweringWorker

GOOD = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = "/v1/chat/completions"


def _check(answer: httpx2.Response, status: int, code: str | None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    assert answer.headers["x-request-id"] == answer.headers["request-id"]
    return body["error"]


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[1]", None),
        (b"[" * 50_000, None),
        (b'{"model":null,"messages":[{}]}', "model"),
        (b'{"messages":[{}]}', "model"),
        (b'{"model":"echo","messages":{}}', "messages"),
        (b'{"model":"echo","messages":[{"role":"user","content":7}]}', "messages[0].content"),
        (b'{"model":"echo","messages":[7]}', "messages[0]"),
        (b'{"model":"\xff","messages":[{}]}', None),
    ],
)
async def test_a_malformed_body_is_a_400_that_names_the_field(
    body: bytes, param: str | None, http: httpx2.AsyncClient
) -> None:
    answer = await http.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert _check(answer, 400, "invalid_request")["param"] == param


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("POST", "/v1/chat/completions/", 404, "unknown_url"),
        ("POST", "/v1/complete", 404, "unknown_url"),
        ("GET", "/v1/../../etc/passwd", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/api/v1/keys", 405, "method_not_allowed"),
        ("GET", "/v1/models/no-such-model", 404, "model_not_found"),
    ],
)
async def test_unknown_routes_and_methods_have_openais_shape(
    method: str, path: str, status: int, code: str, http: httpx2.AsyncClient
) -> None:
    _check(await http.request(method, path), status, code)


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_another_content_type_is_a_415(content_type: str, http: httpx2.AsyncClient) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await http.post(CHAT, content=json.dumps(GOOD).encode(), headers=headers)
    _check(answer, 415, "unsupported_media_type")


async def test_a_body_over_the_limit_is_a_413(http: httpx2.AsyncClient) -> None:
    body = json.dumps({**GOOD, "x": "y" * 120_000}).encode()
    answer = await http.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert "100000 bytes" in _check(answer, 413, "request_too_large")["message"]


async def test_a_chunked_body_over_the_limit_is_a_413(http: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(60):
            yield b" " * 2_000

    answer = await http.post(CHAT, content=chunks(), headers={"content-type": "application/json"})
    _check(answer, 413, "request_too_large")


BAD_KEYS = [
    None,
    "",
    "Bearer",
    "Basic YWRtaW46eA==",
    "Bearer sk-proj-abc",
    f"Bearer {new_api_key().token}",
    f"Bearer {new_api_key().token[:-1]}0",
    "Bearer lm_live_' OR 1=1 --_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "Bearer lm_live_%s%n%x{}{0}_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "Bearer " + "x" * 7_000,
    "Bearer \xff\xfe".encode("latin-1").decode("latin-1"),
]


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize("authorization", BAD_KEYS, ids=range(len(BAD_KEYS)))
async def test_a_bad_key_is_a_401_that_does_not_repeat_it(
    authorization: str | None, served: Any, log_lines: io.StringIO
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    async with httpx2.AsyncClient(base_url=served.url) as anybody:
        answer = await anybody.post(CHAT, json=GOOD, headers=headers)
    _check(answer, 401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    secret = (authorization or "").partition(" ")[2][25:]
    if secret:
        assert secret not in answer.text
        assert secret not in log_lines.getvalue()


async def test_the_clients_request_id_is_kept_when_it_is_sane(http: httpx2.AsyncClient) -> None:
    kept = await http.get("/healthz", headers={"x-request-id": "my-id-1"})
    long = await http.get("/healthz", headers={"x-request-id": "x" * 200})
    odd = await http.get("/healthz", headers={"x-request-id": "a\tb"})
    assert kept.headers["x-request-id"] == "my-id-1"
    assert len(long.headers["x-request-id"]) == len(odd.headers["x-request-id"]) == 36


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/v1/models/no-such-model"])
async def test_head_works_where_get_does(path: str, http: httpx2.AsyncClient) -> None:
    head, get = await http.head(path), await http.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.requirement("T-5")
async def test_a_post_that_wishes_for_http2_is_answered_as_any_other(
    http: httpx2.AsyncClient, worker: AnsweringWorker
) -> None:
    wish = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAEAAEAAAAIAAAAA"}
    plain, wishing = await http.post(CHAT, json=GOOD), await http.post(CHAT, json=GOOD, headers=wish)
    assert (plain.status_code, wishing.status_code) == (200, 200)
    assert wishing.json()["choices"] == plain.json()["choices"]


async def test_a_page_that_the_setting_allows_may_call(start: Any, near_worker: AnsweringWorker) -> None:
    page = "https://app.example.com"
    async with start(cors_origins=page) as gateway, httpx2.AsyncClient(base_url=gateway.url) as client:
        wish = {"origin": page, "access-control-request-method": "POST"}
        preflight = await client.options(CHAT, headers=wish)
        answer = await client.post(CHAT, json=GOOD, headers={"origin": page, **gateway.bearer})
        refused = await client.post(CHAT, json=GOOD, headers={"origin": page})
    assert (preflight.status_code, answer.status_code, refused.status_code) == (204, 200, 401)
    for each in (answer, refused):
        assert each.headers["access-control-allow-origin"] == page
        assert "x-request-id" in each.headers["access-control-expose-headers"]


async def test_a_drain_does_not_wait_for_a_body_that_does_not_come(start: Any) -> None:
    async with start() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.gateway.port)
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {gateway.bearer['authorization']}\r\n"
        writer.write(
            f"{head}content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n".encode()
        )
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    answer = await reader.read()
    writer.close()
    assert b" 503 " in answer
    assert b'"code":"draining"' in answer


async def test_without_a_worker_the_answer_names_the_kind(http: httpx2.AsyncClient) -> None:
    answer = await http.post(CHAT, json=GOOD)
    assert "'echo'" in _check(answer, 503, "no_worker")["message"]


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("internal secret detail")

    monkeypatch.setattr(ModelDirectory, "list", broken)
    answer = await http.get("/v1/models")
    assert "secret" not in _check(answer, 500, "internal_error")["message"]


async def test_a_cancellation_is_told_to_a_client_that_is_still_there(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object, **__: object) -> None:
        raise RequestCancelled("An operator cancelled it.")

    monkeypatch.setattr(ModelDirectory, "list", cancelled)
    assert _check(await http.get("/v1/models"), 499, "cancelled")["message"] == "An operator cancelled it."


async def test_a_drain_refuses_new_requests_and_finishes_those_in_flight(
    start: Any, near_worker: AnsweringWorker
) -> None:
    release = asyncio.Event()

    async def slow(_: object, sink: Any) -> bytes:
        from llm_manager.testing.answering_worker import chunk, done, finish, text

        await sink.send(chunk(text("Hel")))
        await release.wait()
        await sink.send(chunk(text("lo"), finish()))
        return done()

    near_worker.script = slow
    async with start() as gateway, httpx2.AsyncClient(base_url=gateway.url, headers=gateway.bearer) as client:
        in_flight = asyncio.create_task(client.post(CHAT, json=GOOD))
        await near_worker.is_asked.wait()
        gateway.gateway.drain.begin()
        refused = await client.post(CHAT, json=GOOD)
        alive = await client.get("/healthz")
        release.set()
        finished = await in_flight
    _check(refused, 503, "draining")
    assert refused.headers["retry-after"] == "1"
    assert (alive.status_code, finished.status_code) == (200, 200)
    assert finished.json()["choices"][0]["message"]["content"] == "Hello"
