"""The life of a service process: enter its lifespan = ready, leave it = drained."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import structlog
import uvloop

from llm_manager.core.errors import LlmManagerError
from llm_manager.kit import logs, telemetry
from llm_manager.kit.ops import Ops, ops_server
from llm_manager.kit.settings import ServiceSettings, SettingsError, load

__all__ = [
    "EXIT_BAD_SETTINGS",
    "EXIT_FAILED",
    "EXIT_OK",
    "Ops",
    "run",
    "run_from_environment",
    "run_once_from_environment",
]

log = structlog.stdlib.get_logger("kit")

EXIT_OK, EXIT_FAILED = 0, 1
EXIT_BAD_SETTINGS = 78  # EX_CONFIG of sysexits.h: restarting cannot help

Lifespan = Callable[[Ops], AbstractAsyncContextManager[None]]
S = TypeVar("S", bound=ServiceSettings)

# Ctrl-C reaches the whole process group, and a supervisor adds its SIGTERM: one wish to stop, not two.
_SAME_WISH_SECONDS = 1.0
# After the grace period the lifespan is cancelled; its `finally` blocks get this long.
_CANCEL_SECONDS = 2.0


def run(name: str, settings: ServiceSettings, lifespan: Lifespan) -> int:
    """Run a service until SIGTERM or SIGINT and return the exit code of the process.

    0 after a stop on request, 1 when the lifespan failed or did not drain within `drain_seconds`, 78 when it raised
    SettingsError. Order of a stop: readiness fails, the lifespan is left, spans are flushed, the ops server closes.
    A second signal ends the process at once, with 1.
    """
    logs.setup(name, level=settings.log_level, log_format=settings.log_format)
    telemetry.setup(name, otlp_endpoint=settings.otlp_endpoint)
    return uvloop.run(_run(name, settings, lifespan))


def run_from_environment(
    name: str, cls: type[S], lifespan: Callable[[S, Ops], AbstractAsyncContextManager[None]]
) -> int:
    """Load the settings of a service and run it: the body of every service's `main`."""
    try:
        settings = load(cls)
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 (logs are not set up without settings)
        return EXIT_BAD_SETTINGS
    return run(name, settings, lambda ops: lifespan(settings, ops))


def run_once_from_environment(name: str, cls: type[S], work: Callable[[S], Coroutine[None, None, None]]) -> int:
    """Load the settings of a service and do one piece of work with them; return the exit code of the process."""
    try:
        settings = load(cls)
        logs.setup(name, level=settings.log_level, log_format=settings.log_format)
        asyncio.run(work(settings))
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 (a command for people, not a service)
        return EXIT_BAD_SETTINGS
    except LlmManagerError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 (as above)
        return EXIT_FAILED
    return 0


async def _run(name: str, settings: ServiceSettings, lifespan: Lifespan) -> int:
    ops = Ops()
    with _signals(ops):
        try:
            async with ops_server(ops, host=settings.ops_host, port=settings.ops_port) as port:
                log.info("service_starting", service=name, pid=os.getpid(), ops_port=port)
                code = await _live(ops, settings, lifespan)
                await telemetry.shutdown()
        except OSError as error:  # the ops port is taken; everything else is handled inside
            text = str(error)
            log.error("ops_server_failed", host=settings.ops_host, port=settings.ops_port, error=text)  # noqa: TRY400
            return EXIT_FAILED
    log.info("service_stopped", service=name, exit_code=code)
    return code


async def _live(ops: Ops, settings: ServiceSettings, lifespan: Lifespan) -> int:
    """Run the lifespan in one task, so that whoever enters a scope also leaves it, and bound its end."""
    entered = asyncio.Event()
    body = asyncio.create_task(_enter(ops, lifespan, entered), name="lifespan")
    stop = asyncio.create_task(ops.wait_draining(), name="stop")
    try:
        await asyncio.wait({body, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not body.done():
            if not entered.is_set():
                body.cancel()  # asked to stop while starting: there is nothing to drain
            await asyncio.wait({body}, timeout=settings.drain_seconds)
        is_late = not body.done()
        if is_late:
            log.error("drain_timed_out", drain_seconds=settings.drain_seconds)
            body.cancel()
            await asyncio.wait({body}, timeout=_CANCEL_SECONDS)
    finally:
        stop.cancel()
    code = _code_of(body)
    return EXIT_FAILED if is_late or (code == EXIT_OK and ops.failure is not None) else code


async def _enter(ops: Ops, lifespan: Lifespan, entered: asyncio.Event) -> None:
    started = time.monotonic()
    async with lifespan(ops):
        entered.set()
        ops.entered()
        # What lives as long as the process leaves the collector's sight: every 20 to 40 s at 100 requests/s a full
        # collection held the gateway for 98 to 142 ms, and took 10 % of its CPU.
        gc.collect()
        gc.freeze()
        log.info("service_ready", seconds=round(time.monotonic() - started, 3))
        await ops.wait_draining()
        log.info("service_draining")


def _code_of(body: asyncio.Task[None]) -> int:
    if not body.done() or body.cancelled():
        return EXIT_OK if body.done() else EXIT_FAILED
    error = body.exception()
    if error is None:
        return EXIT_OK
    if isinstance(error, SettingsError):
        log.error("settings_refused", error=str(error))
        return EXIT_BAD_SETTINGS
    log.error("service_failed", exc_info=error)
    return EXIT_FAILED


@contextlib.contextmanager
def _signals(ops: Ops):
    loop = asyncio.get_running_loop()
    first: list[tuple[int, float]] = []

    def on_signal(number: int) -> None:
        now = time.monotonic()
        if not first:
            first.append((number, now))
            log.info("signal_received", signal=signal.Signals(number).name)
            ops.drain()
            return
        if number != first[0][0] and now - first[0][1] < _SAME_WISH_SECONDS:
            return
        log.warning("stopped_at_once", signal=signal.Signals(number).name)
        sys.stderr.flush()
        os._exit(EXIT_FAILED)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
