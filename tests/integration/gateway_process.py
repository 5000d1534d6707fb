"""A gateway in a process of its own, for tests that kill it or weigh it."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from llm_manager.testing.master_key import MASTER_KEY_TEXT
from llm_manager.testing.stack import clean_environment

ADMIN = ("admin", "seven wet umbrellas in May")
_START_SECONDS = 30.0


@dataclass
class GatewayProcess:
    """How to reach it; `started` is how long it took until it was ready."""

    process: asyncio.subprocess.Process
    url: str
    started: float = 0.0

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def rss_bytes(self) -> int:
        """What it holds of memory now."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@asynccontextmanager
async def gateway_process(
    nats_url: str, database: Path, *, bootstrap_api_key: str, port: int = 0
) -> AsyncGenerator[GatewayProcess]:
    """Start one and wait until it is ready; at the end it is killed.

    Raises:
        AssertionError: it did not start; the message names its log.
    """
    ops, port = _free_port(), port or _free_port()
    said = {
        "NATS_URL": nats_url,
        "DATABASE_URL": f"sqlite+aiosqlite:///{database}",
        "PORT": str(port),
        "OPS_PORT": str(ops),
        "MASTER_KEY": MASTER_KEY_TEXT,
        "BOOTSTRAP_API_KEY": bootstrap_api_key,
        "ADMIN_PASSWORD": ADMIN[1],
        "DETECT_LOCAL_PROVIDERS": "false",
        "PROBE_PROVIDERS": "false",
    }
    log = database.with_name(f"gateway-{port}.log")
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("llm-manager")), "serve", "gateway"),
            env=clean_environment({f"LLM_MANAGER_GATEWAY_{name}": value for name, value in said.items()}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = GatewayProcess(process, f"http://127.0.0.1:{port}")
    try:
        running.started = await _ready(process, f"http://127.0.0.1:{ops}/readyz", log)
        yield running
    finally:
        await running.kill()


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> float:
    began = time.monotonic()
    async with httpx2.AsyncClient(timeout=2) as client:
        while time.monotonic() - began < _START_SECONDS and process.returncode is None:
            with suppress(httpx2.TransportError):
                if (await client.get(url)).status_code == 200:
                    return time.monotonic() - began
            await asyncio.sleep(0.02)
    raise AssertionError(f"the gateway did not start; see {log}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
