"""The service as its own process: starts, answers, drains."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from llm_manager.contracts.usage.v1 import event_pb2, usage_service_pb2, usage_service_pb2_grpc
from llm_manager.core.prices import PriceBook
from llm_manager.kit import rpc
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import NatsServer
from llm_manager.usage.statistics.rpc import SERVICE_NAME

MakeEvent = Callable[..., event_pb2.UsageRecorded]
TOKEN = "rpc-token-of-a-test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """One usage service, its ledger kept in a folder over restarts."""

    def __init__(self, nats_url: str, folder: Path) -> None:
        self.ops_port, self.grpc_port = free_port(), free_port()
        self._log = folder / "usage.log"
        own = {
            "NATS_URL": nats_url,
            "OPS_PORT": str(self.ops_port),
            "GRPC_PORT": str(self.grpc_port),
            "RPC_TOKEN": TOKEN,
            "CLICKHOUSE_DSN": f"chdb://{folder / 'ledger'}",
        }
        self._environment = {**os.environ, **{f"LLM_MANAGER_USAGE_{name}": value for name, value in own.items()}}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[subprocess.Popen[bytes]]:
        """Start it, wait until it is ready, and kill it at the end if it still runs."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 (starting takes a millisecond)
                [sys.executable, "-c", "from llm_manager.usage.app import main; raise SystemExit(main())"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(30):
                while (await self.readiness())[0] != 200:
                    assert process.poll() is None, self._log.read_text()
                    await asyncio.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait(10)

    async def readiness(self) -> tuple[int, dict[str, object]]:
        """Status and body of /readyz; 0 when nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.ops_port}/readyz"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, json.loads(await answer.read())
        except aiohttp.ClientError:
            return 0, {}

    async def total(self) -> usage_service_pb2.Totals:
        """What UsageService says of everything."""
        async with rpc.channel(f"127.0.0.1:{self.grpc_port}", token=TOKEN) as channel:
            stub = usage_service_pb2_grpc.UsageServiceStub(channel)
            with rpc.rpc_errors():
                return (await stub.Total(usage_service_pb2.TotalRequest(), timeout=5)).totals


@pytest.fixture
async def own_bus() -> AsyncGenerator[tuple[NatsServer, Bus]]:
    """A server whose stream holds this test's events and no others."""
    with NatsServer() as server:
        async with connect(server.url, name="test") as bus:
            await ensure_streams(bus)
            yield server, bus


async def publish(bus: Bus, events: list[event_pb2.UsageRecorded]) -> None:
    for event in events:
        subject, data = f"llm.v1.usage.recorded.{event.app_id}", event.SerializeToString()
        await publish_durable(bus, subject, data, message_id=event.event_id, deadline_seconds=10)


@pytest.mark.requirement("L-17")
async def test_a_stop_under_load_loses_nothing(
    own_bus: tuple[NatsServer, Bus], make_event: MakeEvent, book: PriceBook, tmp_path: Path
) -> None:
    server, bus = own_bus
    service, events = Service(server.url, tmp_path), [make_event(seed=number) for number in range(1_200)]
    load = asyncio.create_task(publish(bus, events))

    async with service.running() as process:
        while (await service.total()).attempts < 200:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        stopped = await asyncio.to_thread(process.wait, 20)
    async with service.running():
        await load
        async with asyncio.timeout(15):
            while (totals := await service.total()).attempts < len(events):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
            # without types; health must answer anybody, so there is no token
            check: Any = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            health = await check(health_pb2.HealthCheckRequest(service=SERVICE_NAME), timeout=5)
    published = await (await bus.jetstream.key_value("config")).get("price_book")

    assert stopped == 0
    assert totals.attempts == 1_200
    assert totals.cost_usd == f"0.{sum(event.cost.total_picousd for event in events):012d}"
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert published.value == book.to_json()
