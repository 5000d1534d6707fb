"""X-Forwarded-For: who is believed, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.app import create_app
from llm_manager.gateway.http.forwarded import TrustedProxies
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.kit.outbound import Networks
from llm_manager.testing.master_key import MASTER_KEY_TEXT

PROXIES = TrustedProxies(Networks.parse("10.0.0.0/8, 192.168.1.7, fd00::/8"))
PROXY = "10.0.0.1"


def client_of(*values: bytes, peer: str | None = PROXY, name: bytes = b"x-forwarded-for") -> str | None:
    """The address that a request has, with one header for each value."""
    headers = [(b"host", b"gateway"), *((name, value) for value in values)]
    client = None if peer is None else (peer, 4711)
    scope: dict[str, Any] = {"type": "http", "client": client, "headers": headers}
    PROXIES.place(scope)
    return None if client is None else scope["client"][0]


@pytest.mark.parametrize("peer", ["203.0.113.5", "11.0.0.1", "192.168.1.8", "::1", "fe80::1%eth0", "a unix socket", ""])
@pytest.mark.parametrize("value", [b"192.0.2.1", b"10.0.0.1", b"garbage", b""])
def test_who_is_no_trusted_proxy_is_not_read(peer: str, value: bytes) -> None:
    assert client_of(value, peer=peer) == peer


def test_a_connection_without_an_address_stays_without() -> None:
    assert client_of(b"192.0.2.1", peer=None) is None


@pytest.mark.parametrize("peer", [PROXY, "10.255.255.255", "192.168.1.7", "fd00::1", "::ffff:10.0.0.1"])
def test_a_trusted_proxy_is_believed_in_every_form_of_its_address(peer: str) -> None:
    assert client_of(b"192.0.2.1", peer=peer) == "192.0.2.1"
    assert client_of(peer=peer) == peer


@pytest.mark.parametrize("name", [b"forwarded", b"x-real-ip", b"x-forwarded-for-x", b"x-client-ip", b"true-client-ip"])
def test_no_other_header_is_read(name: bytes) -> None:
    assert client_of(b"192.0.2.1", name=name) == PROXY


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([b"192.0.2.1"], "192.0.2.1"),
        ([b" \t192.0.2.1\t "], "192.0.2.1"),
        # what is left of the first stranger anybody may have written
        ([b"192.0.2.9, 192.0.2.1"], "192.0.2.1"),
        ([b"10.0.0.9, 192.0.2.1"], "192.0.2.1"),
        ([b"garbage, , \xff\x00%s, 192.0.2.1"], "192.0.2.1"),
        ([b"x" * 60_000 + b",192.0.2.1"], "192.0.2.1"),
        ([b"," * 60_000 + b"192.0.2.1"], "192.0.2.1"),
        # chains
        ([b"192.0.2.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        ([b"192.0.2.1,10.0.0.2,192.168.1.7,fd00::7"], "192.0.2.1"),
        ([b"192.0.2.1" + b",10.0.0.2" * 19], "192.0.2.1"),
        # where all are trusted, one of them asks
        ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([b"10.0.0.3"], "10.0.0.3"),
        ([b"10.0.0.3" + b",10.0.0.2" * 19], "10.0.0.3"),
        # several headers are one list; proxies that add a line add it behind the others
        ([b"192.0.2.9", b"192.0.2.1"], "192.0.2.1"),
        ([b"10.1.2.3", b"192.0.2.1", b"10.0.0.2"], "192.0.2.1"),
        ([b"garbage", b"", b"192.0.2.1"], "192.0.2.1"),
        # forms
        ([b"192.0.2.1:8080"], "192.0.2.1"),
        ([b"2001:db8::1"], "2001:db8::1"),
        ([b"2001:DB8:0:0::1"], "2001:db8::1"),
        ([b"[2001:db8::1]"], "2001:db8::1"),
        ([b"[2001:db8::1]:443"], "2001:db8::1"),
        ([b"::ffff:192.0.2.1"], "192.0.2.1"),
        ([b"[::ffff:192.0.2.1]:65535"], "192.0.2.1"),
        ([b"192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
        ([b"192.0.2.1, 10.0.0.2:443, [fd00::2]:443"], "192.0.2.1"),
        # another network's address, though it reads like a trusted one
        ([b"10.0.0.2, ::10.0.0.2"], "::a00:2"),
    ],
)
def test_the_client_is_the_first_from_the_right_who_is_not_trusted(values: list[bytes], client: str) -> None:
    assert client_of(*values) == client


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b",",
        b"192.0.2.1,",
        b"unknown",
        b"_hidden",
        b"localhost",
        b"for=192.0.2.1",
        b'"192.0.2.1"',
        b"192.0.2.1 10.0.0.1",
        b"192.0.2.1;10.0.0.1",
        b"192.0.2.1\x00",
        b"192.0.2.1\n",
        b"192.0.2.1\x0b",
        b"192.0.2",
        b"192.0.2.256",
        b"192.0.2.01",
        b"0300.0.2.1",
        b"0xC0.0.2.1",
        b"3221225985",
        b"192.0.2.0/24",
        b"192.0.2.1:",
        b"192.0.2.1:http",
        b"192.0.2.1:65536",
        b"192.0.2.1:-1",
        b"192.0.2.1:123456",
        "192.0.2.\u0661".encode(),
        b"192.0.2.\xb2",
        b"[192.0.2.1]",
        b"[2001:db8::1",
        b"2001:db8::1]",
        b"[2001:db8::1]443",
        b"[2001:db8::1]:",
        b"[]",
        b"[[::1]]",
        b"fe80::1%eth0",
        b"[fe80::1%25eth0]",
        b":",
        b":::",
        b"1::2::3",
        b"12345::1",
        b"1" * 60_000,
        b"10.0.0.2," + b"10.0.0.2," * 20 + b"10.0.0.2",
    ],
)
def test_what_a_trusted_proxy_says_and_nobody_understands_is_refused(value: bytes) -> None:
    for values in ([value], [b"192.0.2.1", value], [value + b", 10.0.0.2"], [value, b"10.0.0.2"]):
        with pytest.raises(InvalidRequest) as caught:
            client_of(*values)
        assert len(str(caught.value)) < 300
        assert value.decode("latin-1").strip(", \t") == "" or value.decode("latin-1") not in str(caught.value)


def test_of_endless_proxies_no_more_are_read_than_may_be() -> None:
    with pytest.raises(InvalidRequest, match="more than 20 trusted proxies"):
        client_of(b"192.0.2.1" + b",10.0.0.2" * 20)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/v1/keys", "/healthz", "/nowhere"])
async def test_a_refusal_is_a_400_on_every_route(path: str) -> None:
    app = create_app(proxies=TrustedProxies(Networks.parse("127.0.0.0/8")))
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get(path, headers={"x-forwarded-for": "secret-garbage"})
    assert (answer.status_code, "secret-garbage" in answer.text) == (400, False)
    assert "X-Forwarded-For" in answer.text
    assert answer.headers["x-request-id"]


def settings(trusted_proxies: str) -> GatewaySettings:
    values: dict[str, Any] = {"database_url": "sqlite+aiosqlite:///x", "master_key": MASTER_KEY_TEXT}
    return GatewaySettings(**values, trusted_proxies=trusted_proxies)


def test_nobody_is_trusted_unless_somebody_is_named() -> None:
    assert settings("").proxies() is None
    assert settings(" , ").proxies() is None
    assert settings("10.0.0.0/8, fd00::7").proxies() is not None


@pytest.mark.parametrize("text", ["*", "ingress.local", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "10.0.0.0/8, ::/0"])
def test_what_is_no_network_or_everybody_stops_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        settings(text)
