"""Fixtures of the HTTP edge; what they start is in tests/shared/http_edge.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from http_edge import Client, Edged, Serve, served

from llm_manager.gateway.http.connections import ConnectionLimits


@pytest.fixture
def serve() -> Serve:
    """Start a server with given limits."""
    return served


@pytest.fixture
async def edged() -> AsyncGenerator[Edged]:
    """A server with the limits of production."""
    async with served(ConnectionLimits()) as started:
        yield started


@pytest.fixture
async def client(edged: Edged) -> AsyncGenerator[Client]:
    """A connection to it."""
    async with edged.connect() as connected:
        yield connected
