from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.requests import FrameStream, Requester
from llm_manager.kit.bus.responder import Handler, Responder
from llm_manager.testing.nats_fixtures import bus, mortal_nats_server, nats_server

__all__ = ["bus", "mortal_nats_server", "nats_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that the services run on; its timers are not those of asyncio."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def subject() -> str:
    return f"llm.v1.infer.kind-{uuid7()}"


@pytest.fixture
def serve(bus: Bus, subject: str) -> Callable[..., Responder]:
    """Make responders for the subject of the test."""

    def make(
        handler: Handler, *, max_in_flight: int = 100, drain_seconds: float = 5.0, worker_id: str = ""
    ) -> Responder:
        return Responder(
            bus,
            worker_id=worker_id or uuid7(),
            queue="providers",
            subjects=[subject],
            handler=handler,
            max_in_flight=max_in_flight,
            drain_seconds=drain_seconds,
        )

    return make


@pytest.fixture
async def open_(bus: Bus, subject: str) -> AsyncGenerator[Callable[..., AbstractAsyncContextManager[FrameStream]]]:
    """Open answers to requests on the subject of the test."""
    async with Requester(bus) as requester:

        def stream(
            payload: bytes = b"", *, request_id: str = "r", deadline_seconds: float = 5.0
        ) -> AbstractAsyncContextManager[FrameStream]:
            return requester.stream(subject, payload, request_id=request_id, deadline_seconds=deadline_seconds)

        yield stream
