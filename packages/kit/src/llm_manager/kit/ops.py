"""What an orchestrator asks a process: is it alive, is it ready, what does it count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = structlog.stdlib.get_logger("kit")

Check = Callable[[], str | None]
_STOP_SECONDS = 1.0


class Ops:
    """The state of one process, shared by its lifespan, its ops server and the runner."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._is_entered = False
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None

    def add_check(self, name: str, check: Check) -> None:
        """Ask `check` whenever readiness is asked: None means fine, a text says why not. It must not block."""
        self._checks[name] = check

    def remove_check(self, name: str) -> None:
        """Forget a check; no error when there is none of that name."""
        self._checks.pop(name, None)

    @property
    def is_draining(self) -> bool:
        """True from the first signal or failure on: take no new work."""
        return self._stop.is_set()

    @property
    def is_ready(self) -> bool:
        return not self.reasons()

    def reasons(self) -> dict[str, str]:
        """Why the process is not ready, by name of the check; empty when it is."""
        if self.is_draining:
            return {"lifecycle": "draining"}
        if not self._is_entered:
            return {"lifecycle": "starting"}
        return {name: reason for name, check in self._checks.items() if (reason := check()) is not None}

    def fail(self, exc: BaseException) -> None:
        """End the process with exit code 1 after a drain: something in the background cannot go on."""
        if self.failure is None:
            self.failure = exc
            log.error("service_failed", exc_info=exc)
        self._stop.set()

    def entered(self) -> None:
        """Called by the runner when the lifespan is entered."""
        self._is_entered = True

    def drain(self) -> None:
        """Fail readiness and let the lifespan end; what SIGTERM does."""
        self._stop.set()

    async def wait_draining(self) -> None:
        """Return when the process drains."""
        await self._stop.wait()


@asynccontextmanager
async def ops_server(ops: Ops, *, host: str, port: int) -> AsyncGenerator[int]:
    """Answer /healthz, /readyz and /metrics while the body runs; yield the port, 0 when switched off."""
    if port == 0:
        yield 0
        return
    # 6 MB of a process, which is for those that are asked
    from aiohttp import web

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        reasons = ops.reasons()
        return web.json_response({"is_ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield port
    finally:
        await runner.cleanup()
