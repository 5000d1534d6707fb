"""Whose request it is when it comes through a proxy that is trusted to say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice

from starlette.types import Scope

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.errors import Headers
from llm_manager.kit.outbound import Networks

_HEADER = b"x-forwarded-for"
# `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; no zones, no names
_FORM = re.compile(
    rb"(?:(?P<v4>[0-9.]{7,15})|\[(?P<bracketed>[0-9a-fA-F:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?"
    rb"|(?P<v6>[0-9a-fA-F:.]{2,45})"
)
_HIGHEST_PORT = 65_535
# Trusted proxies one behind the other; without a bound, whoever sits in a trusted network may have thousands read.
_MOST_PROXIES = 20
_MOST_PEERS = 4096


class TrustedProxies:
    """Finds the client behind proxies; knows only who is believed, nothing of a request.

    uvicorn's ProxyHeadersMiddleware is not used: it takes any word for a client's address, knows no IPv4 address in
    IPv6's form, and believes X-Forwarded-Proto as well.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._is_trusted_peer = lru_cache(_MOST_PEERS)(self._holds)

    def place(self, scope: Scope) -> None:
        """Put the client's address in the place of the connection's, which only the request has from then on.

        Read from the right, because each proxy adds on the right what it saw itself: the first address that is no
        trusted proxy's is the client's, and what is left of it anybody may have written. Where all are trusted the
        leftmost is the client. Several headers are one list, as RFC 9110 has it, and as proxies count that add a line.

        Raises:
            InvalidRequest: a trusted proxy sent what is no list of addresses. Taking the proxy's own address instead
                would open keys that are bound to the network in which it stands.
        """
        peer: tuple[str, int] | None = scope.get("client")
        if peer is None or not self._is_trusted_peer(peer[0]):
            return
        headers: Headers = scope["headers"]
        values = [value for name, value in headers if name == _HEADER]
        if values:
            scope["client"] = (str(self._client(values)), 0)

    def _client(self, values: list[bytes]) -> IPv4Address | IPv6Address:
        items = list(islice(_from_the_right(values), _MOST_PROXIES + 1))
        for item in items[:_MOST_PROXIES]:
            address = _address(item)
            if address not in self._networks:
                return address
        if len(items) > _MOST_PROXIES:
            raise InvalidRequest(f"X-Forwarded-For names more than {_MOST_PROXIES} trusted proxies.")
        return _address(items[-1])

    def _holds(self, host: str) -> bool:
        try:
            return _plain(ip_address(host)) in self._networks
        except ValueError:
            return False


def _from_the_right(values: list[bytes]) -> Iterator[bytes]:
    for value in reversed(values):
        rest, comma = value, b","
        while comma:
            rest, comma, item = rest.rpartition(b",")
            yield item.strip(b" \t")


def _address(item: bytes) -> IPv4Address | IPv6Address:
    form = _FORM.fullmatch(item)
    try:
        if form is not None and int(form["port"] or 0) <= _HIGHEST_PORT:
            v4, v6 = form["v4"], form["bracketed"] or form["v6"]
            return IPv4Address(v4.decode()) if v4 else _plain(IPv6Address(v6.decode()))
    except ValueError:
        pass
    raise InvalidRequest(
        "A trusted proxy sent an X-Forwarded-For that is no list of IP addresses; correct the proxy, or remove it from "
        "LLM_MANAGER_GATEWAY_TRUSTED_PROXIES."
    )


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # a socket that takes both kinds shows IPv4 so, and so do proxies that have one
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
