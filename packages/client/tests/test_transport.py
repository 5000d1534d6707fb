from __future__ import annotations

import asyncio
import socket
import threading
import time
import traceback
from typing import Any

import pytest
from scripted_server import answer, event, refusal, serving, silent_until_left, stream, until_left

from llm_manager.client import errors
from llm_manager.client.events import EventReader
from llm_manager.client.transport import Answer, AsyncHttpTransport, HttpTransport

KEY = "lm_live_canary_0123456789"
ONE = event({"n": 1})
DONE = event(b"[DONE]")


def asked(url: str, method: str = "GET", *, is_async: bool = False, seconds: float = 10, **options: Any) -> Answer:
    """Make one request, sync or async."""
    if not is_async:
        with HttpTransport(url, api_key=KEY, timeout_seconds=seconds) as transport:
            return transport.request(method, "/api/v1/apps", **options)

    async def ask() -> Answer:
        async with AsyncHttpTransport(url, api_key=KEY, timeout_seconds=seconds) as transport:
            return await transport.request(method, "/api/v1/apps", **options)

    return asyncio.run(ask())


def streamed(url: str, *, is_async: bool = False, seconds: float = 10) -> list[Any]:
    """Read one stream to its end, sync or async."""
    if not is_async:
        with HttpTransport(url, api_key=KEY, timeout_seconds=seconds) as transport:
            return list(transport.stream("POST", "/v1/chat/completions", body={}))

    async def ask() -> list[Any]:
        async with AsyncHttpTransport(url, api_key=KEY, timeout_seconds=seconds) as transport:
            return [item async for item in transport.stream("POST", "/v1/chat/completions", body={})]

    return asyncio.run(ask())


both = pytest.mark.parametrize("is_async", [False, True])


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds between tries."""
    monkeypatch.setattr("llm_manager.client.wire._FIRST_WAIT_SECONDS", 0.01)


@both
@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_a_request_is_written_and_its_answer_read(suffix: str, is_async: bool) -> None:
    with serving(answer(200, {"a": "ä"}, ETag='"7"')) as server:
        query = {"limit": 5, "none": None, "is_enabled": True, "ids": ["a", "b"]}
        got = asked(server.url + suffix, "POST", is_async=is_async, query=query, body={"x": 1}, headers={"X-Y": "z"})
    assert (got.status, got.headers["etag"], got.body) == (200, '"7"', {"a": "ä"})
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/v1/apps?limit=5&is_enabled=true&ids=a&ids=b")
    assert (seen.body, seen.headers["authorization"], seen.headers["x-y"]) == ({"x": 1}, f"Bearer {KEY}", "z")


def test_bodies_are_json_text_or_nothing() -> None:
    with serving(answer(204), answer(200, b'{"a":1}\n{"b":2}\n', content_type="application/x-ndjson")) as server:
        assert asked(server.url).body is None
        assert asked(server.url).body == '{"a":1}\n{"b":2}\n'


def test_cookies_are_not_kept_and_users_are_sent_as_basic() -> None:
    with (
        serving(answer(200, {}, set_cookie="session=s; Path=/")) as server,
        HttpTransport(server.url, user="admin", password="pä:ss") as transport,
    ):
        for _ in range(2):
            transport.request("GET", "/api/v1/session")
    assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]
    assert server.seen[0].headers["authorization"] == "Basic YWRtaW46cMOkOnNz"


@both
@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("PUT", {}), ("POST", {"Idempotency-Key": "k"})])
@pytest.mark.parametrize("status", [429, 503])
def test_what_may_be_repeated_is_tried_again(method: str, headers: Any, status: int, is_async: bool) -> None:
    with serving(refusal(status), refusal(status, retry_after="0"), answer(200, {"ok": True})) as server:
        assert asked(server.url, method, is_async=is_async, headers=headers).body == {"ok": True}
    assert len(server.seen) == 3


@both
def test_tries_are_bounded_and_the_last_refusal_is_raised(is_async: bool) -> None:
    with serving(refusal(503, "no_worker")) as server, pytest.raises(errors.Unavailable) as caught:
        asked(server.url, is_async=is_async)
    assert (len(server.seen), caught.value.code, caught.value.request_id) == (3, "no_worker", "r-1")


@pytest.mark.parametrize(("method", "status"), [("POST", 503), ("PATCH", 503), ("GET", 500), ("GET", 404)])
def test_nothing_else_is_tried_again(method: str, status: int) -> None:
    with serving(refusal(status)) as server, pytest.raises(errors.LlmManagerError):
        asked(server.url, method)
    assert len(server.seen) == 1


def test_a_spent_budget_is_not_tried_again() -> None:
    with (
        serving(refusal(429, "budget_exceeded", x_should_retry="false")) as server,
        pytest.raises(errors.BudgetExceeded),
    ):
        asked(server.url)
    assert len(server.seen) == 1


@both
def test_the_server_says_how_long_to_wait_and_nobody_waits_beyond_the_deadline(is_async: bool) -> None:
    with serving(refusal(429, retry_after_ms="300", retry_after="1"), answer(200, {})) as server:
        began = time.monotonic()
        asked(server.url, is_async=is_async)
        assert 0.3 <= time.monotonic() - began < 0.9
    began = time.monotonic()
    with serving(refusal(429, retry_after="60")) as server, pytest.raises(errors.RateLimited) as caught:
        asked(server.url, is_async=is_async)
    assert (len(server.seen), caught.value.retry_after) == (1, 60)
    assert time.monotonic() - began < 3


@both
def test_a_server_that_starts_late_is_reached(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_manager.client.wire._FIRST_WAIT_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])

    def late() -> None:
        time.sleep(0.1)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    thread = threading.Thread(target=late)
    thread.start()
    assert asked(f"http://127.0.0.1:{port}", is_async=is_async).body == {}
    thread.join()
    with pytest.raises(errors.Unreachable, match="Nobody answers"):
        asked(f"http://127.0.0.1:{port}", is_async=is_async)


@both
def test_a_silent_server_ends_at_the_deadline(is_async: bool) -> None:
    with serving(silent_until_left) as server:
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            asked(server.url, is_async=is_async, seconds=0.3)
        assert 0.25 < time.monotonic() - began < 2
        assert server.client_left.wait(5)


@both
def test_a_server_that_drips_ends_at_the_deadline(is_async: bool) -> None:
    with serving(stream(then=until_left)) as server:
        for read in (asked, streamed):
            began = time.monotonic()
            with pytest.raises(errors.DeadlineExceeded):
                read(server.url, is_async=is_async, seconds=0.3)
            assert 0.25 < time.monotonic() - began < 2
            assert server.client_left.wait(5)
            server.client_left.clear()


@both
@pytest.mark.parametrize("body", [b"<html>", b'{"a": ', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_told(body: bytes, is_async: bool) -> None:
    with serving(answer(200, body)) as server, pytest.raises(errors.ProtocolError):
        asked(server.url, is_async=is_async)


@both
def test_a_body_that_is_cut_off_and_what_is_no_http_are_told(is_async: bool) -> None:
    def garbage(handler: Any) -> None:
        handler.wfile.write(b"no http at all\r\n\r\n")
        handler.close_connection = True

    def cut_off(handler: Any) -> None:
        answer(200, b"{}", content_length="50")(handler)
        handler.close_connection = True

    def compressed_wrongly(handler: Any) -> None:
        answer(200, b"{}", content_encoding="gzip")(handler)

    for script in (garbage, cut_off, compressed_wrongly):
        with serving(script) as server, pytest.raises(errors.ProtocolError):
            asked(server.url, is_async=is_async)


async def test_a_cancelled_call_closes_its_connection() -> None:
    with serving(silent_until_left) as server:
        async with AsyncHttpTransport(server.url) as transport:
            task = asyncio.create_task(transport.request("GET", "/"))
            assert await asyncio.to_thread(server.is_asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.client_left.wait, 5)


@both
def test_events_are_read_and_heartbeats_are_not(is_async: bool) -> None:
    pieces = (b": ping\n\n", ONE, b'event: x\r\ndata: {\r\ndata: "n": 2}\r', b"\n\r\n", DONE, event({"n": 3}))
    with serving(stream(*pieces)) as server:
        assert streamed(server.url, is_async=is_async) == [{"n": 1}, {"n": 2}]


@both
@pytest.mark.parametrize(
    ("pieces", "cls", "said"),
    [
        ((ONE, event({"error": {"message": "Gone.", "code": "worker_lost"}}), ONE), errors.Unavailable, "Gone."),
        ((ONE,), errors.ProtocolError, "cut off"),
        ((ONE, b"data: [DO"), errors.ProtocolError, "cut off"),
        ((ONE, b"data: {no json\n\n"), errors.ProtocolError, "no JSON"),
    ],
)
def test_a_stream_that_breaks_gives_what_came_and_says_why(
    pieces: tuple[bytes, ...], cls: type[errors.LlmManagerError], said: str, is_async: bool
) -> None:
    got: list[Any] = []

    def read(url: str) -> None:
        with HttpTransport(url) as transport:
            got.extend(transport.stream("POST", "/"))

    async def read_in_loop(url: str) -> None:
        async with AsyncHttpTransport(url) as transport:
            async for item in transport.stream("POST", "/"):
                got.append(item)

    with serving(stream(b"".join(pieces))) as server, pytest.raises(cls, match=said) as caught:
        asyncio.run(read_in_loop(server.url)) if is_async else read(server.url)
    assert got == [{"n": 1}]
    assert (caught.value.request_id, caught.value.status) == ("r-1", None)


@both
def test_a_stream_that_is_refused_raises_what_the_body_says(is_async: bool) -> None:
    with serving(refusal(404, "model_not_found")) as server, pytest.raises(errors.NotFound) as caught:
        streamed(server.url, is_async=is_async)
    assert (caught.value.code, str(caught.value), caught.value.param) == ("model_not_found", "No.", "p")


def test_leaving_a_stream_early_closes_the_connection() -> None:
    with serving(stream(ONE, then=until_left)) as server, HttpTransport(server.url) as transport:
        for item in transport.stream("POST", "/"):
            assert item == {"n": 1}
            break
        assert server.client_left.wait(5)


async def test_leaving_a_stream_early_closes_the_connection_in_a_loop() -> None:
    with serving(stream(ONE, then=until_left)) as server:
        async with AsyncHttpTransport(server.url) as transport:
            async for item in transport.stream("POST", "/"):
                assert item == {"n": 1}
                break
            assert await asyncio.to_thread(server.client_left.wait, 5)


def test_line_separators_of_unicode_end_no_event_and_pieces_may_be_cut_anywhere() -> None:
    text = "a\u2028b\u0085c\x0bdä"
    data = b": x\r\n\r\n" + event(f'{{"t": "{text}"}}'.replace("\x0b", "\\u000b").encode()) + DONE
    whole = EventReader(None).feed(data)
    reader = EventReader(None)
    assert whole == [{"t": text}]
    assert [item for i in range(len(data)) for item in reader.feed(data[i : i + 1])] == whole
    assert reader.is_over


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "localhost:8080"},
        {"base_url": "http://admin:canary@localhost"},
        {"api_key": "canary\n"},
        {"api_key": ""},
        {"api_key": "canary", "user": "u", "password": "canary"},
        {"user": "u"},
        {"password": "canary"},
    ],
)
def test_what_cannot_work_is_refused_without_showing_it(wrong: dict[str, Any]) -> None:
    makers: list[Any] = [HttpTransport, AsyncHttpTransport]
    for make in makers:
        with pytest.raises(ValueError, match=r"API key|user|base URL") as caught:
            make(**{"base_url": "http://localhost", **wrong})
        assert "canary" not in str(caught.value)


@both
def test_keys_are_in_no_repr_and_no_exception(is_async: bool) -> None:
    transport = HttpTransport("http://127.0.0.1:9", api_key=KEY)
    assert repr(transport) == "HttpTransport('http://127.0.0.1:9')"
    with serving(refusal(401)) as refusing, serving(answer(200, b"no json")) as broken:
        # the last one makes the HTTP library itself quote headers
        for url, headers in (
            ("http://127.0.0.1:9", {}),
            (refusing.url, {}),
            (broken.url, {}),
            (broken.url, {"x": "\n"}),
        ):
            with pytest.raises(errors.LlmManagerError) as caught:
                asked(url, is_async=is_async, headers=headers)
            shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
            assert KEY not in shown
            assert "httpx2." not in type(caught.value).__module__
