"""What comes from the server, cut anywhere, reaches whom it is for, whole and in order."""

from __future__ import annotations

import asyncio

import pytest

from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.transport import LaneSocket

_FOR_LANE = (
    b"MSG a.1 7 5\r\nhello\r\n",
    b"MSG a.2 7 _INBOX.x 0\r\n\r\n",
    b"HMSG a.3 7 25 29\r\nNATS/1.0\r\nA: 1\r\nB: 22\r\n\r\nbody\r\n",
    b"HMSG a.4 7 reply 16 18\r\nNATS/1.0 503\r\n\r\n\r\n\r\n",
)
_FOR_NATS_PY = (
    b"PING\r\n",
    b"MSG b.1 9 3\r\nMSG\r\n",
    b"PONG\r\n",
    b"+OK\r\n",
    b'INFO {"server_id":"x"}\r\n',
    b"HMSG b.2 9 12 15\r\nNATS/1.0\r\n\r\nabc\r\n",
    b"-ERR 'Authorization Violation'\r\n",
)
_MIXED = (
    _FOR_LANE[0] + _FOR_NATS_PY[0] + _FOR_NATS_PY[1] + _FOR_LANE[1] + _FOR_NATS_PY[2] + _FOR_NATS_PY[3]
    + _FOR_LANE[2] + _FOR_NATS_PY[4] + _FOR_NATS_PY[5] + _FOR_LANE[3] + _FOR_NATS_PY[6]
)  # fmt: skip


class _Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[str, str, bytes, dict[str, str] | None]] = []

    def take(self, message: Message) -> None:
        self.messages.append((message.subject, message.reply, message.data, message.headers))


async def _open(heard: _Heard) -> tuple[LaneSocket, asyncio.Task[bytes]]:
    socket = LaneSocket({b"7": heard.take})
    reading = asyncio.create_task(socket.read())
    await asyncio.sleep(0)
    return socket, reading


def _expected() -> list[tuple[str, str, bytes, dict[str, str] | None]]:
    return [
        ("a.1", "", b"hello", None),
        ("a.2", "_INBOX.x", b"", None),
        ("a.3", "", b"body", {"A": "1", "B": "22"}),
        ("a.4", "reply", b"\r\n", {"Status": "503"}),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 19, 40, len(_MIXED)])
async def test_pieces_of_any_size_make_the_same_messages(size: int) -> None:
    heard = _Heard()
    socket, reading = await _open(heard)
    left = b""
    for start in range(0, len(_MIXED), size):
        socket.data_received(_MIXED[start : start + size])
        if reading.done() or socket.has_left:
            left += await reading
            reading = asyncio.create_task(socket.read())
            await asyncio.sleep(0)
    reading.cancel()

    assert heard.messages == _expected()
    assert left == b"".join(_FOR_NATS_PY)


@pytest.mark.parametrize("cut", range(1, len(_MIXED)))
async def test_a_cut_anywhere_loses_nothing(cut: int) -> None:
    heard = _Heard()
    socket, reading = await _open(heard)
    socket.data_received(_MIXED[:cut])
    socket.data_received(_MIXED[cut:])

    assert await reading == b"".join(_FOR_NATS_PY)
    assert heard.messages == _expected()


async def test_what_comes_with_the_agreement_is_not_lost() -> None:
    heard = _Heard()
    socket = LaneSocket({b"7": heard.take})
    socket.data_received(b"INFO {}\r\nPO")
    assert await socket.readline() == b"INFO {}\r\n"
    socket.data_received(b"NG\r\n" + _FOR_LANE[0] + b"PING\r\nMSG a.2 7 _IN")
    assert await socket.readline() == b"PONG\r\n"

    async with asyncio.timeout(2):
        assert await socket.read() == b"PING\r\n"
    socket.data_received(b"BOX.x 0\r\n\r\n")
    assert heard.messages == _expected()[:2]


async def test_a_reader_that_fails_costs_one_message() -> None:
    heard = _Heard()

    def fail(_: Message) -> None:
        raise ValueError("broken")

    socket = LaneSocket({b"7": heard.take, b"8": fail})
    reading = asyncio.create_task(socket.read())
    await asyncio.sleep(0)
    socket.data_received(b"MSG a.1 8 1\r\nx\r\n" + _FOR_LANE[0] + b"PING\r\n")

    assert await reading == b"PING\r\n"
    assert heard.messages == _expected()[:1]


async def test_a_lost_connection_ends_reading_and_says_so_to_senders() -> None:
    socket, reading = await _open(_Heard())
    socket.pause_writing()
    assert not socket.writable.is_set()

    socket.connection_lost(OSError("gone"))

    assert await reading == b""
    assert socket.is_at_end
    assert socket.writable.is_set()
    with pytest.raises(ConnectionResetError, match="was lost"):
        socket.check()


async def test_before_a_connection_there_is_none() -> None:
    with pytest.raises(ConnectionResetError, match="no connection"):
        _ = LaneSocket({}).opened
