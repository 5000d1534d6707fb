"""Networks that a key may come from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.gateway.ingress.rpc import peer_address
from llm_manager.gateway.keys.networks import Networks, normalised

Address = IPv4Address | IPv6Address
ADDRESSES = st.ip_addresses()


def _network(address: Address, length: int) -> IPv4Network | IPv6Network:
    return ip_network((address, min(length, address.max_prefixlen)), strict=False)


NETWORKS = st.builds(_network, ADDRESSES, st.integers(0, 128))


def _plain(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@given(st.lists(NETWORKS, max_size=20), ADDRESSES)
def test_an_address_is_in_them_when_the_standard_library_says_so(
    networks: list[IPv4Network | IPv6Network], address: Address
) -> None:
    texts = normalised(map(str, networks))
    expected = any(_plain(address) in ip_network(text) for text in texts)
    assert Networks.of(texts).holds(str(address)) == expected


@given(NETWORKS, st.integers(0))
def test_every_address_of_a_network_is_in_it(network: IPv4Network | IPv6Network, index: int) -> None:
    address = network[index % network.num_addresses]
    (text,) = normalised([str(network)])
    # ::/0 is every IPv6 address; those that are IPv4 in disguise are asked for as IPv4
    assert Networks.of([text]).holds(str(address)) == (_plain(address) in ip_network(text))


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_in_the_form_of_ipv6_is_ipv4(address: IPv4Address, length: int) -> None:
    plain = str(_network(address, length))
    assert normalised([f"::ffff:{address}/{96 + length}"]) == [plain]
    assert Networks.of([plain]).holds(f"::ffff:{address}")


@given(st.text(max_size=40))
def test_what_is_no_address_is_in_no_network(text: str) -> None:
    everything = Networks.of(["0.0.0.0/0", "::/0"])
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        assert not everything.holds(text)


@given(st.lists(NETWORKS, max_size=10))
def test_what_is_normalised_stays_as_it_is(networks: list[IPv4Network | IPv6Network]) -> None:
    once = normalised(map(str, networks))
    assert normalised(once) == once


def test_networks_are_brought_into_one_form() -> None:
    asked = ["10.1.2.3", "10.1.2.3/32", "10.9.9.9/8", "2001:DB8:0::1", "::ffff:10.0.0.0/104", "0.0.0.0/0"]
    assert normalised(asked) == ["10.1.2.3/32", "10.0.0.0/8", "2001:db8::1/128", "0.0.0.0/0"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "10.0.0.1 ", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/255.0.0.0", "010.0.0.1", "fe80::1%eth0",
     "localhost", "1", "::1/129", "10.0.0.0/8/8", "\u0661\u0660.0.0.1", "10.0.0.0/\u0668", "*"],
)  # fmt: skip
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is neither an IP address nor a network"):
        normalised([text])


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:[::1]:5000", "::1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", "fe80::1%eth0"),
        ("unix:/tmp/socket", ""),
        ("", ""),
    ],
)
def test_grpc_names_its_connections_so(peer: str, address: str) -> None:
    assert peer_address(peer) == address
