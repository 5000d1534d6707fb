"""Pytest fixtures of the bus. A conftest takes them with `from llm_manager.testing.nats_fixtures import *`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest

from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import URL_VARIABLE, NatsServer

__all__ = ["bus", "mortal_nats_server", "nats_server"]


@pytest.fixture(scope="session")
def nats_server() -> Generator[NatsServer]:
    """One server for all tests of the process; use subjects and keys of your own."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def mortal_nats_server() -> Generator[NatsServer]:
    """A server of this test alone, to be killed."""
    server = NatsServer()
    if server.is_external:
        pytest.skip(f"kills the server; unset {URL_VARIABLE} to run it on the nats-server of this machine")
    with server:
        yield server


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncGenerator[Bus]:
    """A connection to the shared server, with all JetStream assets in place."""
    async with connect(nats_server.url, name="test") as connection:
        await ensure_streams(connection)
        yield connection
