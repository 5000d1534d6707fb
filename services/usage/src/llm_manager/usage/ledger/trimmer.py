"""Makes room in the stream USAGE: of what is stored the older half goes, of what is not stored nothing ever does.

The stream refuses new events when it is full, so that old spend is never dropped. Between there being room and that
stands this: once half of the room is taken, events that the ledger has are deleted, oldest first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from nats import errors
from nats.js.errors import Error as JetStreamError

from llm_manager.kit.bus.connection import Bus

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_EVERY_SECONDS = 30.0


class Trimmer:
    """Looks at one stream and its one durable consumer."""

    def __init__(self, bus: Bus, *, stream: str, durable: str) -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable

    @asynccontextmanager
    async def running(self, *, interval_seconds: float = _EVERY_SECONDS) -> AsyncGenerator[None]:
        """Trim in the background while the body runs."""
        task = asyncio.create_task(self._run(interval_seconds), name="usage-stream-trimmer")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def trim(self) -> int:
        """Delete stored events when the stream is more than half full; return how many went.

        Raises:
            nats.errors.Error, nats.js.errors.Error, TimeoutError: the bus does not answer.
        """
        jetstream = self._bus.jetstream
        info = await jetstream.stream_info(self._stream)
        state, most = info.state, info.config.max_bytes or 0
        if most <= 0 or state.bytes <= most // 2:
            return 0
        consumer = await jetstream.consumer_info(self._stream, self._durable)
        stored = consumer.ack_floor.stream_seq if consumer.ack_floor is not None else 0
        last = min(stored, (state.first_seq + state.last_seq) // 2)
        if last < state.first_seq:
            log.warning("usage_stream_fills", bytes=state.bytes, of=most, waiting=state.messages)
            return 0
        # up to this one, and not it
        await jetstream.purge_stream(self._stream, seq=last + 1)
        log.info("usage_stream_trimmed", events=last + 1 - state.first_seq, bytes=state.bytes, of=most)
        return last + 1 - state.first_seq

    async def _run(self, interval_seconds: float) -> None:
        while True:
            try:
                while self._bus.client.is_connected and await self.trim():
                    pass
            except (errors.Error, JetStreamError, TimeoutError) as error:
                log.debug("usage_stream_not_trimmed", error=str(error))
            await asyncio.sleep(interval_seconds)
