from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from llm_manager.cli.stack import probes
from llm_manager.cli.stack.ports import PortKeeper
from llm_manager.cli.stack.probes import Reply, http_ready, nats_ready


async def _serve(answer: bytes) -> tuple[asyncio.Server, int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])


async def test_status_200_is_ready_and_anything_else_is_the_reason() -> None:
    ready, ready_port = await _serve(b"HTTP/1.0 200 OK\r\n\r\n")
    waiting, waiting_port = await _serve(
        b'HTTP/1.1 503 No\r\nA: b\r\n\r\n{"is_ready": false, "reasons": {"bus": "NATS is away", "ledger": "is full"}}'
    )
    other, other_port = await _serve(b'HTTP/1.1 503 No\r\nA: b\r\n\r\n{"bus": "connecting"}')
    async with ready, waiting, other:
        assert await http_ready(ready_port)() == Reply(None)
        assert await http_ready(waiting_port)() == Reply("NATS is away; is full")
        assert await http_ready(other_port)() == Reply('{"bus": "connecting"}')


async def test_a_port_that_nobody_serves_is_not_ready(tmp_path: Path) -> None:
    port = PortKeeper(tmp_path).take_internal("probe")
    assert await http_ready(port)() == Reply("does not listen yet", is_alive=False)


async def test_a_server_that_takes_the_connection_and_says_nothing_is_not_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "DEADLINE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = int(frozen.getsockname()[1])
        silent = Reply("does not answer within 0.2 s", is_alive=False)
        assert [await http_ready(port)(), await nats_ready(port)()] == [silent, silent]


async def test_nats_is_ready_when_it_introduces_itself() -> None:
    nats, port = await _serve(b'INFO {"server_id": "x"}\r\n')
    other, other_port = await _serve(b"220 mail\r\n")
    async with nats, other:
        assert await nats_ready(port)() == Reply(None)
        assert await nats_ready(other_port)() == Reply("the port does not speak NATS")
