"""What we write and read of NATS's protocol is what nats-py would."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from llm_manager.core.errors import InternalError
from llm_manager.kit.bus.message import Message, publication, read_headers, write_headers

_ACK = "$JS.ACK.USAGE.ledger.{}.12.34.1790000000000000000.5"
_WITH_DOMAIN = "$JS.ACK.hub.ACCOUNT.USAGE.ledger.3.12.34.1790000000000000000.5.random"


class _Recording(Client):
    """A client that is connected to nothing and keeps what it would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    @property
    def is_connected(self) -> bool:
        return True

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        self.sent += cmd


@pytest.mark.parametrize("reply", ["", "_INBOX.a.1"])
@pytest.mark.parametrize("payload", [b"", b"x", b"\r\nPUB a 1\r\n", bytes(70_000)])
@pytest.mark.parametrize(
    "headers", [None, {"Nats-Msg-Id": "a-1"}, {"A": "grün", "B": "two\r\nC: 3"}, {"Empty": ""}], ids=str
)
async def test_a_publication_has_the_bytes_of_nats_py(
    payload: bytes, reply: str, headers: dict[str, str] | None
) -> None:
    theirs = _Recording()
    await theirs.publish("llm.v1.infer.echo", payload, reply, headers)

    head = write_headers(headers) if headers else None
    ours = publication("llm.v1.infer.echo", payload, reply=reply, head=head)

    # one space for two where there is no reply subject: the server takes both
    assert _normal(ours, payload) == _normal(theirs.sent, payload)


def _normal(command: bytes, payload: bytes) -> tuple[list[bytes], bytes]:
    line, _, rest = command.partition(b"\r\n")
    assert rest.endswith(payload + b"\r\n")
    # nats-py leaves a space behind an empty value
    return line.split(), rest


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0\r\n", "a\tb"])
def test_what_is_no_subject_is_not_sent(subject: str) -> None:
    with pytest.raises(InternalError, match="no subject"):
        publication(subject, b"")


@pytest.mark.parametrize(
    ("head", "headers"),
    [
        (b"NATS/1.0\r\nA: 1\r\nB: x: y\r\n\r\n", {"A": "1", "B": "x: y"}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (
            b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\n\r\n",
            {"Status": "409", "Description": "Message Size Exceeds MaxBytes"},
        ),
        (b"NATS/1.0 100 Idle\r\nNats-Last-Consumer: 8\r\n\r\n", None),
        (b"NATS/1.0\r\nA: gr\xc3\xbcn\r\nBad: \xff\r\n\r\n", {"A": "grün", "Bad": "\ufffd"}),
        (b"NATS/1.0\r\nA:1\r\nno colon\r\n\r\n", {"A": "1"}),
    ],
)
def test_headers_are_read(head: bytes, headers: dict[str, str] | None) -> None:
    expected = {"Status": "100", "Description": "Idle", "Nats-Last-Consumer": "8"} if headers is None else headers
    assert read_headers(head) == expected
    message = Message("a", "", b"", head)
    assert message.headers == expected
    assert message.headers is message.headers


def test_headers_are_those_that_nats_py_reads() -> None:
    head = write_headers({"Request-Id": "r", "traceparent": "00-1-2-01"})
    lines = head.removeprefix(b"NATS/1.0\r\n")
    assert read_headers(head) == Client._parse_header_lines(lines)  # pyright: ignore[reportPrivateUsage]


def test_a_message_without_headers_has_none() -> None:
    assert Message("a", "", b"").headers is None


@pytest.mark.parametrize("reply", [_ACK.format(1), _ACK.format(7), _WITH_DOMAIN])
def test_a_delivery_is_the_one_that_nats_py_reads(reply: str) -> None:
    theirs, ours = Msg(_client=Client(), reply=reply).metadata, Message("a", reply, b"").delivery

    assert ours == (theirs.num_delivered, theirs.sequence.stream, theirs.num_pending)
