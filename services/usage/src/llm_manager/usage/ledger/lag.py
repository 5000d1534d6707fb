"""How far the ledger is behind the stream, as metrics."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import structlog
from nats import errors
from nats.js.errors import Error as JetStreamError

from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.connection import Bus

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_EVERY_SECONDS = 5.0


class LagGauge:
    """Asks JetStream every few seconds, while it is entered, how many events are not yet stored."""

    def __init__(self, bus: Bus, *, stream: str, durable: str, every_seconds: float = _EVERY_SECONDS) -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._every_seconds = every_seconds
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="ledger-lag")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def measure(self) -> int:
        """Return the events in the stream that are not acknowledged, delivered or not, and set the metric."""
        info = await self._bus.jetstream.consumer_info(self._stream, self._durable)
        events = (info.num_pending or 0) + (info.num_ack_pending or 0)
        names.LEDGER_LAG_EVENTS.set(events)
        return events

    async def _run(self) -> None:
        while True:
            try:
                if self._bus.client.is_connected:
                    await self.measure()
            except (errors.Error, JetStreamError, TimeoutError) as error:
                log.debug("ledger_lag_unknown", error=str(error))
            await asyncio.sleep(self._every_seconds)
