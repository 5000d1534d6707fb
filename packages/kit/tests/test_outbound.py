"""Which addresses may be connected to when somebody else gave the URL."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.kit.outbound import NONE, Networks, is_refused

MAPPED, NAT64 = "::ffff:0:0", "64:ff9b::"
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255"),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "168.63.129.15", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2400:cb00::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
REFUSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    "255.255.255.255",
    *("::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002::1", "2002:7f00:1::"),
    *("2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0"),
    *("fec0::1", "ff02::1", "ff0e::1"),
]


@pytest.mark.requirement("P-14")
@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_may_be_connected_to(address: str) -> None:
    assert not is_refused(address)


@pytest.mark.requirement("P-14")
@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert is_refused(address)
    assert is_refused(ip_address(address))


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.1", "2130706433", "1.2.3.4.5", "1.2.3.4:80", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert is_refused(text)


@given(st.ip_addresses(v=4))
def test_address_of_ipv4_is_judged_alike_however_it_is_written(address: IPv4Address) -> None:
    as_ipv6 = {is_refused(IPv6Address(int(IPv6Address(prefix)) + int(address))) for prefix in (MAPPED, NAT64)}

    assert as_ipv6 == {is_refused(address)}


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_may_be_connected_to(address: IPv4Address | IPv6Address) -> None:
    embeds = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    is_odd = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    # ipaddress calls NAT64 reserved as a whole
    if is_odd and not embeds and address not in Networks.parse("64:ff9b::/64"):
        assert is_refused(address)


@given(st.ip_addresses())
def test_allowing_everything_allows_everything(address: IPv4Address | IPv6Address) -> None:
    assert not is_refused(address, Networks.parse("0.0.0.0/0,::/0"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::a01:203", False),
        ("192.168.1.7", False),
        ("192.168.1.8", True),
        ("fd00::1", False),
        ("fc00::1", True),
        ("127.0.0.1", True),
        ("8.8.8.8", False),
    ],
)
def test_allowed_networks_are_allowed_and_no_others(address: str, expected: bool) -> None:
    assert is_refused(address, Networks.parse(" 10.0.0.0/8, 192.168.1.7 ,,fd00::/8")) is expected


def test_all_of_ipv6_does_not_mean_ipv4_in_other_words() -> None:
    assert is_refused("::ffff:127.0.0.1", Networks.parse("::/0"))


def test_nothing_is_allowed_by_an_empty_text() -> None:
    assert Networks.parse("") == Networks.parse(" , ") == NONE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0/8, office", r"'office' is no network; write for example 10\.0\.0\.0/8"),
        ("10.0.0.0/33", "is no network"),
        ("10.0.0.0/8;fd00::/8", "is no network"),
        ("10.1.2.3/8", r"'10\.1\.2\.3/8' has bits behind its prefix; write 10\.0\.0\.0/8"),
        ("::ffff:10.0.0.0/104", "stands for IPv4 addresses"),
    ],
)
def test_text_that_names_no_network_says_how_to_write_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Networks.parse(text)
