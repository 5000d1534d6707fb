"""uvicorn inside a lifespan that somebody else runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from llm_manager.core.errors import InternalError

_BACKLOG = 2048
# Longer than the keep-alive of common load balancers (60 s), so that they and not we close idle connections.
_KEEP_ALIVE_SECONDS = 75
_POLL_SECONDS = 0.005


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to kit.service, which owns the process."""
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp, *, host: str, port: int, on_failure: Callable[[BaseException], None]
) -> AsyncGenerator[int]:
    """Serve HTTP while the body runs; yield the port (0 asks the system for a free one).

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
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
            backlog=_BACKLOG,
        )
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
        listening.close()


def _told(task: asyncio.Task[None], on_failure: Callable[[BaseException], None]) -> None:
    if (error := task.exception()) is not None:
        on_failure(error)
