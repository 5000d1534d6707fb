"""Durable consumers: batches by size and age, acknowledged after the handler, poison set aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import structlog
from nats import errors
from nats.js import api
from nats.js.errors import Error as JetStreamError

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.pull import Pull
from llm_manager.kit.bus.settlement import BatchHandler, Delivered, OnPoison, Settlement

__all__ = ["BatchHandler", "Delivered", "DurableConsumer", "OnPoison"]

_RETRY_SECONDS = 0.3
# Under load a batch is gathered for so many times longer.
_BUSY_FACTOR = 4

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def busy_wait_seconds(max_wait_seconds: float, *, ack_wait_seconds: float) -> float:
    """Return how long a batch is gathered under load: well below the time after which its messages come again."""
    return max(max_wait_seconds, min(_BUSY_FACTOR * max_wait_seconds, ack_wait_seconds / 4))


class DurableConsumer:
    """Pulls batches while it is entered; leaving finishes the current batch.

    Every message reaches the handler at least once, so the handler must be idempotent. When a batch fails, its messages
    are tried one by one, so that one bad message holds up no others; what fails alone comes back with growing delays.
    A retryable `LlmManagerError` (a store that is down) fails the batch as a whole and never makes a message poison.

    Args:
        bus: the connection.
        stream: a stream of JetStream.
        durable: name of the consumer; processes with the same name share the messages.
        handler: returns when everything in the batch is safe.
        max_batch: messages per batch at most.
        max_wait_seconds: age of a batch at most, from its first message on; up to four times that under load, when
            more than a handful came meanwhile.
        filter_subject: only these subjects of the stream.
        ack_wait_seconds: messages of a process that died come back after so long; a slow handler keeps its own.
        max_deliveries: a message that fails by itself in this delivery or a later one is poison.
        on_poison: takes it; then it is terminated. Without it a message is never given up.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        durable: str,
        handler: BatchHandler,
        max_batch: int,
        max_wait_seconds: float,
        filter_subject: str | None = None,
        ack_wait_seconds: float = 30.0,
        max_deliveries: int = 8,
        on_poison: OnPoison | None = None,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._max_batch = max_batch
        self._max_wait_seconds = max_wait_seconds
        self._busy_wait_seconds = busy_wait_seconds(max_wait_seconds, ack_wait_seconds=ack_wait_seconds)
        self._filter_subject = filter_subject
        self._ack_wait_seconds = ack_wait_seconds
        self._settlement = Settlement(
            handler,
            client=bus.client,
            ack_wait_seconds=ack_wait_seconds,
            max_deliveries=max_deliveries,
            on_poison=on_poison,
            name=durable,
        )
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pull: Pull | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"bus-consumer-{self._durable}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._pull is not None:
            self._pull.stop()
        if self._task is not None:
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()

    async def _run(self) -> None:
        is_down = False
        while not self._stopping.is_set():
            try:
                async with self._opened() as pull:
                    is_down = False
                    while batch := await pull.batch(
                        self._max_batch, self._max_wait_seconds, busy_wait_seconds=self._busy_wait_seconds
                    ):
                        await self._settlement.settle(batch)
            except (errors.Error, JetStreamError, BusUnavailable, TimeoutError) as error:
                # A server that starts, a stream or consumer that is not there yet: try until it works.
                if not is_down:
                    log.warning("bus_consumer_waits", durable=self._durable, error=str(error))
                is_down = True
                await self._pause()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Pull]:
        if not self._bus.client.is_connected:
            raise self._bus.unavailable()
        # the library leaves the types of its keyword parameters open, which are not used here
        await self._bus.jetstream.add_consumer(  # pyright: ignore[reportUnknownMemberType]
            self._stream,
            api.ConsumerConfig(
                durable_name=self._durable,
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait_seconds,
                max_ack_pending=max(1000, 4 * self._max_batch),
                max_deliver=-1,
                filter_subject=self._filter_subject,
            ),
        )
        pull = self._pull = Pull(self._bus, stream=self._stream, durable=self._durable)
        await pull.open()
        try:
            if self._stopping.is_set():
                pull.stop()
            yield pull
        finally:
            self._pull = None
            await pull.close()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._stopping.wait()
