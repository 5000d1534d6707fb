"""Messages of NATS as bytes of its protocol, and back (docs.nats.io/reference/reference-protocols, ADR-4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llm_manager.core.errors import InternalError
from llm_manager.kit.bus.names import STATUS

_VERSION = "NATS/1.0"
_WORDS_WITHOUT_DOMAIN = 9
_LINE_ENDS = str.maketrans({"\r": " ", "\n": " "})


class Delivery(NamedTuple):
    """What the reply subject of a message of a stream tells.

    Args:
        deliveries: how often it was delivered, from 1.
        sequence: its place in the stream.
        pending: how many more match the consumer.
    """

    deliveries: int
    sequence: int
    pending: int


class Message:
    """One message as it came. `headers` are read when somebody asks for them; None when it has none."""

    __slots__ = ("_head", "_headers", "data", "reply", "subject")

    def __init__(self, subject: str, reply: str, data: bytes, head: bytes | None = None) -> None:
        self.subject = subject
        self.reply = reply
        self.data = data
        self._head = head
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str] | None:
        """All headers, and `Status` and `Description` where the server set them."""
        if self._headers is None and self._head is not None:
            self._headers = read_headers(self._head)
        return self._headers

    @property
    def delivery(self) -> Delivery:
        """Where a message of a stream comes from.

        Source: NATS ADR-15, `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<of the consumer>.<time>.<pending>`,
        nine words, or more with domain and account before the stream and a random one at the end.
        """
        words = self.reply.split(".")
        first = 4 if len(words) == _WORDS_WITHOUT_DOMAIN else 6
        return Delivery(int(words[first]), int(words[first + 1]), int(words[first + 4]))


def read_headers(head: bytes) -> dict[str, str]:
    """Return the headers of a block that begins with `NATS/1.0`; of several with one name the last."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, str] = {}
    status, _, description = first.removeprefix(_VERSION).strip().partition(" ")
    if status:
        headers[STATUS] = status
    if description:
        headers["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers


def write_headers(headers: Mapping[str, str]) -> bytes:
    """Return a block of headers; a line end within a value becomes a space, so that it cannot add a header."""
    lines = [f"{name}: {value.translate(_LINE_ENDS)}\r\n" for name, value in headers.items()]
    return f"{_VERSION}\r\n{''.join(lines)}\r\n".encode()


def publication(subject: str, payload: bytes, *, reply: str = "", head: bytes | None = None) -> bytes:
    """Return a message as it goes to the server.

    Args:
        head: a block of headers, see `write_headers`.

    Raises:
        InternalError: the subject is none; what stands in it could pass for another command.
    """
    if not subject.isprintable() or " " in subject or not subject:
        raise InternalError(f"{subject[:100]!r} is no subject of NATS: it is empty, or has spaces or line ends.")
    size = len(payload)
    if head is None:
        return b"%b%b\r\n" % (f"PUB {subject} {reply} {size}\r\n".encode(), payload)
    command = f"HPUB {subject} {reply} {len(head)} {len(head) + size}\r\n".encode()
    return b"%b%b%b\r\n" % (command, head, payload)
