"""uvicorn inside a lifespan that somebody else runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from llm_manager.core.errors import InternalError
from llm_manager.gateway.http.connections import Connections
from llm_manager.gateway.http.protocol import GatewayProtocol

_BACKLOG = 2048
_POLL_SECONDS = 0.005
# uvicorn ticks ten times a second; a sweep over 10,000 connections takes about 2 ms
_TICKS_A_SWEEP = 3


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections

    async def on_tick(self, counter: int) -> bool:
        """Enforce the deadlines of connections beside what uvicorn does."""
        if counter % _TICKS_A_SWEEP == 0:
            self._connections.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to kit.service, which owns the process."""
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    on_failure: Callable[[BaseException], None],
    connections: Connections,
) -> AsyncGenerator[int]:
    """Serve HTTP while the body runs; yield the port (0 asks the system for a free one).

    Leaving gives answers under way one second to end, then drops their connections.

    Raises:
        InternalError: the port cannot be opened.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InternalError(
            f"The port {host}:{port} cannot be opened ({error.strerror}); choose another one."
        ) from error
    server = _Server(
        uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", partial(GatewayProtocol, connections)),  # uvicorn only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # anybody can write X-Forwarded-For; http.forwarded reads that of proxies which are trusted
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            backlog=_BACKLOG,
        ),
        connections,
    )
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http-server")
    task.add_done_callback(lambda done: None if done.cancelled() else _told(done, on_failure))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 # uvicorn has a flag, no event
            await asyncio.sleep(_POLL_SECONDS)
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        connections.cut()
        listening.close()


def _told(task: asyncio.Task[None], on_failure: Callable[[BaseException], None]) -> None:
    if (error := task.exception()) is not None:
        on_failure(error)
