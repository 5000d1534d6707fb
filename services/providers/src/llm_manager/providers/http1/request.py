"""Heads of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_manager.providers.http1.address import Address

# RFC 9110, 5.6.2. With anything else in it a name could pass for another one at the other side (`content-length :`).
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# How a message is framed and which host it is for is not for headers of a configuration to say: a `host` of its own
# would reach another site behind the same address. The rest belongs to one hop (RFC 9110, 7.6.1).
_OURS = frozenset(
    {
        *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)


def head_of(method: str, address: Address, headers: Mapping[str, str], *, body_bytes: int) -> bytes:
    """Return the head of a request. Headers that frame it or name its host are passed over.

    Raises:
        ValueError: a header holds a line break or a null byte, or its name what no name may hold.
    """
    lines = [f"{method} {address.target} HTTP/1.1", f"host: {address.host}"]
    said = {name.lower(): value for name, value in headers.items()}
    said.setdefault("accept", "*/*")
    if address.authorization:
        said.setdefault("authorization", address.authorization)
    lines += [f"{name}: {value}" for name, value in said.items() if name not in _OURS]
    if body_bytes or method != "GET":
        lines.append(f"content-length: {body_bytes}")
    if NAME.fullmatch("".join(said)) is None:
        raise ValueError("a header has a name that is none")
    text = "\r\n".join(lines)
    # one look at the whole: a line more than were written is one that a header smuggled in
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break or a null byte")
    return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")
