"""Heads of requests."""

from __future__ import annotations

from collections.abc import Mapping

from llm_manager.providers.http1.address import Address

# How a message is framed is not for headers of a configuration to say.
_OURS = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})


def head_of(method: str, address: Address, headers: Mapping[str, str], *, body_bytes: int) -> bytes:
    """Return the head of a request, with `host`, `accept` and `content-length` where the headers have none.

    Raises:
        ValueError: a header holds a line break or a null byte.
    """
    lines = [f"{method} {address.target} HTTP/1.1"]
    said = {name.lower(): value for name, value in headers.items()}
    said.setdefault("host", address.host)
    said.setdefault("accept", "*/*")
    if address.authorization:
        said.setdefault("authorization", address.authorization)
    lines += [f"{name}: {value}" for name, value in said.items() if name not in _OURS]
    if body_bytes or method != "GET":
        lines.append(f"content-length: {body_bytes}")
    text = "\r\n".join(lines)
    # one look at the whole: a line more than were written is one that a header smuggled in
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break or a null byte")
    return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")
