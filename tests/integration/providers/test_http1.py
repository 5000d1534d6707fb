"""HTTP/1.1 to providers, as servers really speak it: interim answers, ends without a length, connections that go."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest
from http_servers import answering, asked, self_signed, serving, whole

from llm_manager.core.errors import UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable
from llm_manager.providers import client as client_module
from llm_manager.providers.client import HttpCall, HttpClient, Limits
from llm_manager.providers.http1.address import address_of
from llm_manager.providers.http1.pool import Pool

# far below the time for which an idle connection is kept
_AT_ONCE_SECONDS = 5.0
LIMITS = Limits(connect=10, headers=10, first_token=10, idle=10, total=20)


def call(url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpCall:
    return HttpCall("POST", url, headers or {}, body, "Upstream", is_trusted=True)


async def read(client: HttpClient, sent: HttpCall, limits: Limits = LIMITS) -> tuple[int, bytes]:
    async with client.open(sent, limits) as answer:
        body = b""
        while data := await answer.read():
            body += data
        return answer.status, body


async def test_interim_answers_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    async with (
        serving(answering(early + whole(b"hello"))) as server,
        HttpClient() as client,
        client.open(call(server.url), LIMITS) as answer,
    ):
        assert (answer.status, await answer.read(), "link" in answer.headers) == (200, b"hello", False)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
        b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5  \r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-odd: a\x01b\r\ncontent-length: 5\r\n\r\nhello",
    ],
    ids=["line feeds alone", "no reason", "spaces behind a size", "a control character"],
)
async def test_what_every_client_forgives_is_forgiven(answer: bytes) -> None:
    async with serving(answering(answer)) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == (200, b"hello")


async def test_a_switch_of_protocols_that_nobody_asked_for_is_no_answer() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    async with serving(answering(switch)) as server, HttpClient() as client:
        with pytest.raises(UpstreamProtocolError, match="not HTTP"):
            await read(client, call(server.url))


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\nhello", hangs_up=True)) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == (200, b"hello")


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (whole(b"ok"), 1),
        (whole(b"ok", "connection: close"), 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
    ],
    ids=["kept", "closed", "old", "old and kept", "no body"],
)
async def test_a_connection_is_used_again_when_its_server_keeps_it(answer: bytes, connections: int) -> None:
    async with serving(answering(answer, answer)) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == await read(client, call(server.url))
        assert server.connections == connections


async def test_a_kept_connection_that_its_server_closes_is_not_used_again() -> None:
    async with serving(answering(whole(b"ok"), hangs_up=True)) as server, HttpClient() as client:
        for _ in range(3):
            assert await read(client, call(server.url)) == (200, b"ok")
            await server.all_gone()
            await asyncio.sleep(0)  # what the system knows, the loop has to read


@pytest.mark.parametrize("is_together", [True, False])
async def test_an_answer_that_nobody_asked_for_reaches_nobody(*, is_together: bool) -> None:
    poison, is_idle = whole(b"poison"), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(whole(b"right") + poison if is_together else whole(b"right"))
        await is_idle.wait()
        if not is_together:
            writer.write(poison)
        await reader.read()

    async with serving(handler) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == (200, b"right")
        is_idle.set()
        async with asyncio.timeout(_AT_ONCE_SECONDS):
            await server.all_gone()
        assert await read(client, call(server.url)) == (200, b"right")


async def test_headers_without_end_are_refused() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with serving(handler) as server, HttpClient() as client:
        with pytest.raises(UpstreamProtocolError, match="bytes of headers"):
            await read(client, call(server.url))


async def test_a_large_body_arrives_whole() -> None:
    body, seen = bytes(range(256)) * 20_000, list[bytes]()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append((await asked(reader)).partition(b"\r\n\r\n")[2])
            writer.write(whole(b"ok"))

    async with serving(handler) as server, HttpClient() as client:
        for _ in range(2):
            assert await read(client, call(server.url, body)) == (200, b"ok")
        assert server.connections == 1
    assert seen == [body, body]


async def test_a_body_that_is_refused_before_its_end_is_not_sent_on() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        while await reader.read(65536):
            pass

    async with serving(handler) as server, HttpClient() as client:
        assert await read(client, call(server.url, bytes(30_000_000))) == (413, b"no")
        async with asyncio.timeout(_AT_ONCE_SECONDS):
            await server.all_gone()


async def test_a_reader_that_is_slow_stops_its_server() -> None:
    written, size, is_stuck = 0, 50_000_000, asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 50_000):
            writer.write(bytes(50_000))
            stuck = asyncio.get_running_loop().call_later(0.5, is_stuck.set)
            await writer.drain()
            stuck.cancel()
            written += 50_000
        await reader.read()

    total = 0
    async with serving(handler) as server, HttpClient() as client, client.open(call(server.url), LIMITS) as answer:
        await is_stuck.wait()
        assert written < 15_000_000
        while data := await answer.read():
            total += len(data)
    assert total == size


async def test_who_wants_more_connections_than_there_may_be_waits_for_its_turn() -> None:
    go = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            await go.wait()
            writer.write(whole(b"ok"))

    async with serving(handler) as server, HttpClient(connections_per_host=2) as client:
        first = [asyncio.ensure_future(read(client, call(server.url))) for _ in range(2)]
        await server.until(lambda known: known.connections == 2)
        with pytest.raises(UpstreamTimeout, match="limit connect"):
            await read(client, call(server.url), Limits(connect=0.2, headers=9, first_token=9, idle=9, total=9))
        left = asyncio.ensure_future(read(client, call(server.url)))
        later = [asyncio.ensure_future(read(client, call(server.url))) for _ in range(3)]
        await asyncio.sleep(0)
        left.cancel()
        go.set()
        assert await asyncio.gather(*first, *later) == [(200, b"ok")] * 5
        assert server.connections == 2


async def test_a_turn_that_comes_to_somebody_who_has_just_left_goes_to_the_next() -> None:
    async with serving(answering(whole(b"ok"))) as server:
        origin, pool = address_of(server.url, is_trusted=True).origin, Pool(per_origin=1, keep_seconds=5)
        first = await pool.take(origin)
        reply = await first.ask(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b"", on_sent=lambda: None)
        assert (await reply.read(), await reply.read()) == (b"ok", b"")
        leaving, staying = (asyncio.ensure_future(pool.take(origin)) for _ in range(2))
        await asyncio.sleep(0)  # both wait
        pool.give_back(first)
        leaving.cancel()
        async with asyncio.timeout(_AT_ONCE_SECONDS):
            assert await staying is first
        assert leaving.cancelled()
        pool.close()
        await server.all_gone()


async def test_who_waits_for_connections_that_all_close_gets_new_ones() -> None:
    answer = whole(b"ok", "connection: close")
    async with serving(answering(answer, hangs_up=True)) as server, HttpClient(connections_per_host=3) as client:
        failures: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context)))
        answers = await asyncio.gather(*(read(client, call(server.url)) for _ in range(60)))
        assert answers == [(200, b"ok")] * 60
        assert (server.connections, failures) == (60, [])


async def test_a_connection_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_KEEP_ALIVE_SECONDS", 0.2)
    async with serving(answering(whole(b"ok"), whole(b"ok"))) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == (200, b"ok")
        assert server.open == 1
        await server.all_gone()


async def test_a_header_cannot_bring_another_one() -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient() as client:
        with pytest.raises(UpstreamUnreachable, match="malformed"):
            await read(client, call(server.url, headers={"x-a": "1\r\nauthorization: Bearer other"}))
        assert server.connections == 0


async def test_how_a_message_is_framed_is_not_for_its_headers_to_say() -> None:
    seen = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await asked(reader))
        writer.write(whole(b"ok"))
        await reader.read()

    odd = {"Content-Length": "999", "transfer-encoding": "chunked", "connection": "close", "Accept": "text/plain"}
    async with serving(handler) as server, HttpClient() as client:
        assert await read(client, call(server.url + "/a b?c=ü", headers=odd)) == (200, b"ok")
    head, _, body = bytes(seen).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    host = server.url.removeprefix("http://").encode()
    assert lines[0] == b"POST /a%20b?c=%C3%BC HTTP/1.1"
    assert sorted(lines[1:]) == [b"accept: text/plain", b"content-length: 2", b"host: " + host]
    assert body == b"{}"


async def test_tls_with_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "both.pem"))
    async with serving(answering(whole(b"ok"), whole(b"ok")), tls=context) as server, HttpClient() as client:
        for _ in range(2):
            assert await read(client, call(server.url)) == (200, b"ok")
        assert server.connections == 1


async def test_a_name_with_an_address_that_nobody_serves_is_reached_at_its_other_one() -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient() as client:
        assert await read(client, call(server.url.replace("127.0.0.1", "localhost"))) == (200, b"ok")


async def test_a_gzip_of_several_members_is_unpacked_whole() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    async with serving(answering(whole(packed, "content-encoding: gzip"))) as server, HttpClient() as client:
        assert await read(client, call(server.url)) == (200, b"one two")


async def test_a_compression_that_nobody_asked_for_is_the_provider_s_fault() -> None:
    async with serving(answering(whole(b"xx", "content-encoding: br"))) as server, HttpClient() as client:
        with pytest.raises(UpstreamProtocolError, match="packed as 'br'"):
            await read(client, call(server.url))
