from __future__ import annotations

import socket
from pathlib import Path

import pytest

from llm_manager.cli.stack.ports import NoFreePortError, PortKeeper, is_free


def _listen() -> tuple[socket.socket, int]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server, int(server.getsockname()[1])


def test_a_taken_port_is_passed_over(tmp_path: Path) -> None:
    server, taken = _listen()
    with server:
        keeper = PortKeeper(tmp_path)
        assert not is_free(taken)
        assert keeper.take(range(taken, taken + 50)) > taken
        keeper.close()


def test_two_stacks_that_start_at_once_get_different_ports(tmp_path: Path) -> None:
    first, second = PortKeeper(tmp_path), PortKeeper(tmp_path)
    ports = [first.take_internal("same seed"), second.take_internal("same seed"), first.take_internal("same seed")]
    assert len(set(ports)) == 3
    assert all(21_000 <= port < 30_000 for port in ports)
    first.close()
    second.close()


def test_a_closed_keeper_gives_its_ports_back(tmp_path: Path) -> None:
    first, second = PortKeeper(tmp_path), PortKeeper(tmp_path)
    port = first.take_internal("seed")
    first.close()
    assert second.take([port]) == port
    second.close()


def test_no_free_port_says_what_to_do(tmp_path: Path) -> None:
    server, taken = _listen()
    with server, pytest.raises(NoFreePortError, match="--port"):
        PortKeeper(tmp_path).take([taken])
