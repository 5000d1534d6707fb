"""Networks that a key may come from; pure, and quick enough for every request."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"
_MAPPED_BITS = 96
_V4_BITS, _V6_BITS = 32, 128
_SHOWN = 60


def normalised(networks: Iterable[str]) -> list[str]:
    """Return networks in one form (`10.0.0.0/8`, `2001:db8::1/128`), each once, in their order.

    What is an IPv4 address inside IPv6 (`::ffff:10.0.0.1`) becomes the IPv4 address that it is.

    Raises:
        ValueError: one is neither an address nor a network in CIDR notation; the message names it.
    """
    return list(dict.fromkeys(str(_network(text)) for text in networks))


def _network(text: str) -> IPv4Network | IPv6Network:
    _, slash, length = text.partition("/")
    # masks (`/255.0.0.0`) and zones (`%eth0`) are written by few, and meant differently by some
    is_plain = "%" not in text and (not slash or (length.isascii() and length.isdigit()))
    try:
        network = ip_network(text, strict=False) if is_plain else None
    except ValueError:
        network = None
    if network is None:
        raise ValueError(f"{text[:_SHOWN]!r} is neither an IP address nor a network like 10.0.0.0/8 or 2001:db8::/32")
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - _MAPPED_BITS))
    return network


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks ready for the question whether an address is in one of them.

    Args:
        v4, v6: by mask, the networks of that length: a list of hundred mostly has a handful of lengths.
    """

    v4: tuple[tuple[int, frozenset[int]], ...]
    v6: tuple[tuple[int, frozenset[int]], ...]

    @staticmethod
    def of(networks: Iterable[str]) -> Networks:
        """Prepare networks. Raises ValueError as `normalised` does."""
        found = [_network(text) for text in networks]
        return Networks(_by_mask(found, version=4), _by_mask(found, version=6))

    def holds(self, address: str) -> bool:
        """Return whether an address is in one of them; what is no IP address is in none."""
        packed = _packed(address)
        if packed is None:
            return False
        value = int.from_bytes(packed)
        groups = self.v4 if len(packed) * 8 == _V4_BITS else self.v6
        return any(value & mask in networks for mask, networks in groups)


def _by_mask(networks: Iterable[IPv4Network | IPv6Network], *, version: int) -> tuple[tuple[int, frozenset[int]], ...]:
    groups: dict[int, set[int]] = {}
    for network in networks:
        if network.version == version:
            groups.setdefault(int(network.netmask), set()).add(int(network.network_address))
    return tuple((mask, frozenset(values)) for mask, values in groups.items())


def _packed(address: str) -> bytes | None:
    try:
        # inet_pton takes 0.3 us, ipaddress 3
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return None
    # a socket that takes both kinds shows IPv4 so
    return packed[12:] if packed.startswith(_MAPPED_PREFIX) else packed
