from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from http_servers import self_signed

from llm_manager.core.errors import UpstreamProtocolError, UpstreamUnreachable
from llm_manager.providers import client as client_module
from llm_manager.providers.client import HttpCall, HttpClient, Limits
from llm_manager.testing.upstream import Cut, FakeUpstream, Pause, Script

LIMITS = Limits(connect=2, headers=2, first_token=2, idle=2, total=5)


def call(url: str, **headers: str) -> HttpCall:
    return HttpCall("POST", url, headers, b"{}", "Upstream", is_trusted=True)


async def read_all(client: HttpClient, asked: HttpCall) -> tuple[int, bytes]:
    async with client.open(asked, LIMITS) as answer:
        body = b""
        while data := await answer.read():
            body += data
        return answer.status, body


async def test_compressed_answer_is_unpacked(upstream: FakeUpstream) -> None:
    upstream.script = Script(steps=[gzip.compress(b"hello" * 1000)], headers={"content-encoding": "gzip"})
    async with HttpClient() as client:
        assert await read_all(client, call(upstream.base_url)) == (200, b"hello" * 1000)


async def test_redirect_is_not_followed(upstream: FakeUpstream) -> None:
    upstream.script = Script(status=307, headers={"location": upstream.base_url + "/elsewhere"})
    async with HttpClient() as client:
        assert (await read_all(client, call(upstream.base_url)))[0] == 307

    assert len(upstream.requests) == 1


async def test_answer_above_the_bound_is_refused(upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_BODY_BYTES", 100)
    upstream.script = Script(steps=[b"x" * 101])
    async with HttpClient() as client:
        with pytest.raises(UpstreamProtocolError, match="more than 100 bytes"):
            await read_all(client, call(upstream.base_url))


async def test_connection_that_is_closed_before_the_headers_is_unreachable(upstream: FakeUpstream) -> None:
    upstream.script = Script(before_headers=[Cut()])
    async with HttpClient() as client:
        with pytest.raises(UpstreamUnreachable, match="closed the connection before it answered"):
            await read_all(client, call(upstream.base_url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9", "no connection"),
        ("http://host.invalid", "cannot be resolved"),
        ("not a url", "malformed"),
    ],
)
async def test_what_cannot_be_reached_says_why(url: str, why: str) -> None:
    async with HttpClient() as client:
        with pytest.raises(UpstreamUnreachable, match=why):
            await read_all(client, call(url))


async def test_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    async def never_asked(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(never_asked, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server, HttpClient() as client:
        with pytest.raises(UpstreamUnreachable, match="TLS certificate"):
            await read_all(client, call(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))


async def test_leaving_before_the_end_closes_the_connection(upstream: FakeUpstream) -> None:
    upstream.script = Script(steps=[b"first", Pause()])
    async with HttpClient() as client:
        async with client.open(call(upstream.base_url), LIMITS) as answer:
            assert await answer.read() == b"first"
        await upstream.wait_for_hangups(seconds=1.0)

    assert upstream.connections == 1


async def test_credential_is_not_in_the_representation_of_a_call() -> None:
    assert "sk-secret" not in repr(call("http://x", authorization="Bearer sk-secret"))


async def test_client_that_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="not entered"):
        await read_all(HttpClient(), call("http://127.0.0.1:9"))
