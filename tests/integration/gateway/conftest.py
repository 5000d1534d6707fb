"""A real gateway on a free port, a real NATS, a real database, and a worker whose answers each test writes."""

from __future__ import annotations

import io
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.app import Gateway, running
from llm_manager.gateway.settings import GatewaySettings
from llm_manager.kit import logs
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.ops import Ops
from llm_manager.testing.answering_worker import AnsweringWorker, answering_worker
from llm_manager.testing.master_key import MASTER_KEY_TEXT
from llm_manager.testing.nats import NatsServer
from llm_manager.testing.nats_fixtures import bus, mortal_nats_server, nats_server

__all__ = ["bus", "mortal_nats_server", "nats_server"]

KINDS = ("echo", "openai", "groq", "custom", "ollama")
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-test-openai-canary-0001",
    "GROQ_API_KEY": "gsk_test_groq_canary_0001",
    "CUSTOM_BASE_URL": "http://127.0.0.1:9/v1",
    "OLLAMA_BASE_URL": "http://127.0.0.1:9",
}
PASSWORD = "seven wet umbrellas in May"


@dataclass(frozen=True)
class Served:
    """A gateway under test and how to reach it."""

    gateway: Gateway
    ops: Ops
    api_key: str
    url: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key}"}

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.gateway.grpc_port}"


Start = Callable[..., AbstractAsyncContextManager[Served]]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _starter(nats_url: str, folder: Path) -> Start:
    key = new_api_key().token

    @asynccontextmanager
    async def started(
        *, environ: dict[str, str] | None = None, silence_seconds: float = 7.0, **changed: Any
    ) -> AsyncGenerator[Served]:
        values: dict[str, Any] = {
            "nats_url": nats_url,
            "database_url": f"sqlite+aiosqlite:///{folder}/gateway.db",
            "port": 0,
            "grpc_port": _free_port(),
            "master_key": MASTER_KEY_TEXT,
            "bootstrap_api_key": key,
            "admin_password": PASSWORD,
            "detect_local_providers": False,
            "probe_providers": False,
            **changed,
        }
        ops = Ops()
        settings = GatewaySettings(**values)
        used = ENVIRONMENT if environ is None else environ
        async with running(settings, ops, environ=used, silence_seconds=silence_seconds) as gateway:
            yield Served(gateway, ops, key, f"http://127.0.0.1:{gateway.port}")

    return started


@pytest.fixture(scope="session", autouse=True)
def log_lines() -> io.StringIO:
    """Everything that was logged, as the product writes it."""
    lines = io.StringIO()
    logs.setup("gateway", stream=lines)
    return lines


@pytest.fixture(scope="session")
def own_nats_server() -> Generator[NatsServer]:
    """The server of the shared gateway, so that gateways of single tests do not clean up its catalogue."""
    with NatsServer() as server:
        yield server


@pytest.fixture(scope="session")
async def served(own_nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    """One gateway for all tests that change nothing of it."""
    folder = tmp_path_factory.mktemp("gateway")
    async with _starter(own_nats_server.url, folder)(heartbeat_seconds=0.2, max_body_bytes=100_000) as gateway:
        yield gateway


@pytest.fixture
async def worker(own_nats_server: NatsServer) -> AsyncGenerator[AnsweringWorker]:
    """Answers the shared gateway for every kind that tests use."""
    async with connect(own_nats_server.url, name="worker") as own_bus, answering_worker(own_bus, KINDS) as serving:
        yield serving


@pytest.fixture
def start(nats_server: NatsServer, tmp_path: Path) -> Start:
    """Start gateways; those of one test share database, master key and API key unless told otherwise."""
    return _starter(nats_server.url, tmp_path)


@pytest.fixture
async def near_worker(bus: Bus) -> AsyncGenerator[AnsweringWorker]:
    """Answers the gateways that a test starts."""
    async with answering_worker(bus, KINDS) as serving:
        yield serving


@pytest.fixture
async def http(served: Served) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the gateway with a good key."""
    async with httpx2.AsyncClient(base_url=served.url, headers=served.bearer, timeout=10) as client:
        yield client
