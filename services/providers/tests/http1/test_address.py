"""URLs of providers in parts."""

from __future__ import annotations

import pytest

from llm_manager.providers.http1.address import Address, Origin, address_of


@pytest.mark.parametrize(
    ("url", "host", "port", "shown", "target"),
    [
        ("http://a.example", "a.example", 80, "a.example", "/"),
        ("https://a.example/v1/chat", "a.example", 443, "a.example", "/v1/chat"),
        ("https://a.example:443/v1", "a.example", 443, "a.example", "/v1"),
        ("http://a.example:8080/v1?x=1&y=%26", "a.example", 8080, "a.example:8080", "/v1?x=1&y=%26"),
        ("http://[::1]:8080/v1", "::1", 8080, "[::1]:8080", "/v1"),
        ("http://bücher.example/ä b", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/%C3%A4%20b"),
        ("http://a.example/models/x%2Fy:do#part", "a.example", 80, "a.example", "/models/x%2Fy:do"),
    ],
)
def test_a_url_says_where_a_request_goes(url: str, host: str, port: int, shown: str, target: str) -> None:
    assert address_of(url) == Address(Origin(url.startswith("https"), host, port), shown, target, "")


def test_a_name_and_a_password_before_the_host_become_a_header() -> None:
    assert address_of("http://name:pass@a.example/").authorization == "Basic bmFtZTpwYXNz"


@pytest.mark.parametrize(
    "url", ["", "a.example/v1", "/v1", "ftp://a.example/", "http:///v1", "http://a.example:99999/", "https://"]
)
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"absolute|port|[Hh]ost|range"):
        address_of(url)
