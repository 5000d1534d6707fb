"""Connections for URLs that are not trusted go to addresses that were checked, and to no others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest
from http_servers import Server, answering, serving, whole

from llm_manager.core.errors import UpstreamUnreachable
from llm_manager.kit.outbound import Networks
from llm_manager.providers.client import HttpCall, HttpClient, Limits
from llm_manager.providers.http1 import pool as pool_module

pytestmark = pytest.mark.requirement("P-14")

LIMITS = Limits(connect=10, headers=10, first_token=10, idle=10, total=20)
# One address of the loopback network stands for what is public, another one for what is not.
PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
HALF = Networks.parse(PUBLIC)


class Resolver:
    """Says other addresses each time, as a name does whose owner means harm."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.asked = 0
        self._answers: Iterator[tuple[str, ...]] = iter(answers)

    async def getaddrinfo(self, _: str, port: int, **__: object) -> list[tuple[object, ...]]:
        self.asked += 1
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for address in next(self._answers)
        ]

    def serve(self, patch: pytest.MonkeyPatch) -> None:
        """Answer for the running loop, each time anew."""
        patch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.getaddrinfo)
        patch.setattr(pool_module, "_NAMES_SECONDS", 0.0)


@asynccontextmanager
async def in_private() -> AsyncGenerator[tuple[Server, Server]]:
    """Serve one port at the public and at the private address."""
    hidden, shown = (Server(answering(whole(b"ok", "connection: close"), hangs_up=True)) for _ in range(2))
    async with await asyncio.start_server(shown.serve, PUBLIC, 0) as at_public:
        port = at_public.sockets[0].getsockname()[1]
        async with await asyncio.start_server(hidden.serve, PRIVATE, port):
            shown.url = hidden.url = f"http://name.example:{port}"
            yield shown, hidden


async def read(client: HttpClient, url: str, *, is_trusted: bool = False) -> bytes:
    async with client.open(HttpCall("POST", url, {}, b"{}", "Upstream", is_trusted), LIMITS) as answer:
        return await answer.read()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "0", "127.0.0.1."),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "[::]", "localhost", "①②⑦.0.0.1", "user:pass@127.0.0.1"),
    ],
)
async def test_no_way_of_writing_the_loopback_address_leads_there(host: str) -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient() as client:
        with pytest.raises(UpstreamUnreachable) as raised:
            await read(client, server.url.replace("127.0.0.1", host))
        # "127.0.0.1." is no name that every resolver takes
        if host != "127.0.0.1.":
            assert str(raised.value).startswith("Upstream resolves to a private address; ")
        assert server.connections == 0


async def test_trusted_url_leads_wherever_it_says() -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient() as client:
        assert await read(client, server.url, is_trusted=True) == b"ok"


async def test_allowed_network_is_open_to_everybody() -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient(private_networks=HALF) as client:
        assert await read(client, server.url) == b"ok"
        assert await read(client, server.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")) == b"ok"


async def test_connection_of_a_trusted_url_is_not_lent_to_others() -> None:
    async with serving(answering(whole(b"ok"), whole(b"ok"))) as server, HttpClient() as client:
        assert await read(client, server.url, is_trusted=True) == b"ok"
        with pytest.raises(UpstreamUnreachable, match="private address"):
            await read(client, server.url)
        assert await read(client, server.url, is_trusted=True) == b"ok"
        assert server.connections == 1


async def test_name_whose_address_changes_is_checked_at_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver((PUBLIC,), (PRIVATE,), (PUBLIC,))
    async with in_private() as (shown, hidden), HttpClient(private_networks=HALF) as client:
        resolver.serve(monkeypatch)
        assert await read(client, shown.url) == b"ok"
        with pytest.raises(UpstreamUnreachable, match="private address"):
            await read(client, shown.url)
        assert await read(client, shown.url) == b"ok"
        # asked once for each connection: between the check and the connection nobody asks again
        assert (resolver.asked, shown.connections, hidden.connections) == (3, 2, 0)


async def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver((PRIVATE, PUBLIC, PRIVATE))
    async with in_private() as (shown, hidden), HttpClient(private_networks=HALF) as client:
        resolver.serve(monkeypatch)
        assert await read(client, shown.url) == b"ok"
        assert (shown.connections, hidden.connections) == (1, 0)


async def test_refusals_leave_nothing_behind() -> None:
    async with serving(answering(whole(b"ok"))) as server, HttpClient(connections_per_host=1) as client:
        for _ in range(3):
            with pytest.raises(UpstreamUnreachable, match="private address"):
                await read(client, server.url)
