"""Heads of requests: what headers of a configuration may say, and what they may not."""

from __future__ import annotations

import pytest

from llm_manager.providers.http1.address import address_of
from llm_manager.providers.http1.request import head_of

ADDRESS = address_of("http://a.example:8080/v1")


def lines(headers: dict[str, str]) -> list[str]:
    return head_of("POST", ADDRESS, headers, body_bytes=2).decode().split("\r\n")


def test_head_has_what_every_request_needs() -> None:
    assert lines({"x-a": "1"}) == [
        "POST /v1 HTTP/1.1",
        "host: a.example:8080",
        "x-a: 1",
        "accept: */*",
        "content-length: 2",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Transfer-Encoding", "connection", "keep-alive", "proxy-connection", "te"),
        *("trailer", "upgrade", "expect", "http2-settings"),
    ],
)
def test_headers_that_frame_a_message_or_name_its_host_are_passed_over(name: str) -> None:
    assert lines({name: "evil.example"}) == lines({})


@pytest.mark.parametrize("name", ["content-length ", "host\t", "x:y", "x y", "bücher", "x\r\ny", "x\0"])
def test_name_that_could_pass_for_another_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name that is none"):
        lines({name: "1"})


@pytest.mark.parametrize("value", ["1\r\nhost: evil.example", "1\nx: y", "1\rx", "1\0"])
def test_value_cannot_bring_a_header_of_its_own(value: str) -> None:
    with pytest.raises(ValueError, match="line break or a null byte"):
        lines({"x-a": value})
