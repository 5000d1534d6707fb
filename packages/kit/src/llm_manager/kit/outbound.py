"""Which addresses the product may connect to when somebody else gave the URL. Decides only; resolves and opens nothing.

Whoever opens connections to such URLs (provider workers; webhooks, MCP servers and documents are meant to follow) does
four things: resolves the name itself, drops what `is_refused`, connects to exactly the addresses that are left and not
to the name, and follows no redirect. An answer of the DNS that changes in between then changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A table of our own, because `ipaddress.is_global` differs between releases of Python (3.11.7 calls 192.0.0.9 private
# and 2002:7f00:1:: global, 3.13 does neither). Source: IANA IPv4 Special-Purpose Address Registry, read 2026-11.
_NEVER_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host; Linux connects to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT, and the metadata of Alibaba Cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services on every virtual machine; its number looks public
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and the metadata of Oracle Cloud
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast
    )
)
# Nothing outside of this block is given out for use between networks, so a list of what is good is shorter than one of
# what is not. Source: IANA IPv6 Global Unicast and Special-Purpose Address Registries, read 2026-11.
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
_NEVER_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address of anybody's choice in the middle
        "3fff::/20",
    )
)
# IPv4 addresses as IPv6 writes them; the system connects to the IPv4 address, so that is the one to judge. NAT64 is
# among them because on a network of IPv6 alone every IPv4 host has such an address.
_EMBEDDING: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks that are allowed although they are not public."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read networks and single addresses, separated by commas: `10.0.0.0/8, 192.168.1.7, fd00::/8`.

        Raises:
            ValueError: one of them is none; the message names it and says how to write it.
        """
        return cls(tuple(_network(item) for raw in text.split(",") if (item := raw.strip())))

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


NONE: Final = Networks()


def is_refused(address: str | Address, allowed: Networks = NONE) -> bool:
    """Return whether nobody may be connected to this address: it is not public, and no allowed network holds it.

    Args:
        address: as the resolver gives it, which may have a zone (`fe80::1%eth0`). What is no address is refused.
    """
    try:
        meant = _meant(ip_address(address) if isinstance(address, str) else address)
    except ValueError:
        return True
    return not _is_public(meant) and meant not in allowed


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for; all others as they are."""
    if isinstance(address, IPv6Address) and any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NEVER_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _NEVER_IPV6)


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except (AddressValueError, ValueError) as error:
        raise ValueError(_why_not(text)) from error
    if isinstance(network, IPv6Network) and any(network.subnet_of(embedding) for embedding in _EMBEDDING):
        raise ValueError(f"{text!r} stands for IPv4 addresses; write the IPv4 network")
    return network


def _why_not(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text[:100]!r} is no network; write for example 10.0.0.0/8 or fd00::/8, several with commas"
    return f"{text!r} has bits behind its prefix; write {meant}, or the address alone"
