"""Publishes usage events: before the terminal frame where the bus lets it, and later rather than never."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

import structlog

from llm_manager.contracts.usage.v1.event_pb2 import UsageRecorded
from llm_manager.core.errors import BusUnavailable, LlmManagerError, StoreUnavailable
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import usage_subject
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.providers.metrics import EVENTS_INCOMPLETE, EVENTS_LOST, EVENTS_RETRIED

# Inside the five seconds that a cancelled handler has, and below the seven of silence after which a worker is lost.
_DEADLINE_SECONDS = 4.0
_RETRY_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_LAST_TRY_SECONDS = 3.0
_MAX_WAITING = 100_000
_LEAST_CHARACTERS = 128

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _without_ballast(event: UsageRecorded) -> UsageRecorded:
    """Return the event with its texts cut and without what is neither identity, counts nor money."""
    least = UsageRecorded()
    least.CopyFrom(event)
    least.ClearField("raw_usage")
    least.ClearField("tags")
    least.ClearField("end_user")
    for field, value in least.ListFields():
        if isinstance(value, str):
            setattr(least, field.name, value[:_LEAST_CHARACTERS])
    return least


class Recorder:
    """Enter it once per process; leaving it tries once more what could not be stored.

    While an event waits no new work is taken (`why_not`): what waits is in memory only, and would be lost with it.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[UsageRecorded] = deque()
        self._has_work = asyncio.Event()
        self._retrying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._retrying = asyncio.create_task(self._retry(), name="usage-events-retry")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait({self._retrying})
        until = asyncio.get_running_loop().time() + _LAST_TRY_SECONDS
        while self._waiting:
            left = until - asyncio.get_running_loop().time()
            event = self._waiting[0]
            if left <= 0 or not await self._store(event, left):
                break
            self._waiting.popleft()
        for event in self._waiting:
            EVENTS_LOST.inc()
            log.error("usage_event_lost", event_id=event.event_id, request_id=event.request_id)

    @property
    def waiting(self) -> int:
        """Events that are not stored yet."""
        return len(self._waiting)

    def why_not_ready(self) -> str | None:
        """Return why spend cannot be recorded now, None when it can."""
        if not self._waiting:
            return None
        return (
            f"{len(self._waiting)} usage events wait, because JetStream does not store them: "
            "look whether its disk or the stream USAGE is full"
        )

    def why_not(self) -> LlmManagerError | None:
        """Return the refusal of new work, None while spend can be recorded."""
        if not self._waiting:
            return None
        what = (
            "What is spent cannot be recorded now, so nothing new is begun; the disk or the stream USAGE may be full."
        )
        return StoreUnavailable(what, retry_after_seconds=_RETRY_SECONDS)

    async def record(self, event: UsageRecorded) -> None:
        """Store an event, or keep it and try on when the bus does not take it in time."""
        try:
            is_stored = await self._store(event, _DEADLINE_SECONDS)
        except asyncio.CancelledError:
            self._keep(event)
            raise
        if not is_stored:
            self._keep(event)

    def _keep(self, event: UsageRecorded) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            EVENTS_LOST.inc()
            log.error("usage_event_lost", event_id=event.event_id, request_id=event.request_id)
            return
        EVENTS_RETRIED.inc()
        self._waiting.append(event)
        self._has_work.set()

    async def _store(self, event: UsageRecorded, deadline_seconds: float) -> bool:
        headers: dict[str, str] = {}
        try:
            with telemetry.span(names.SPAN_USAGE_PUBLISH, kind=telemetry.SpanKind.PRODUCER):
                telemetry.inject(headers)
                await publish_durable(
                    self._bus,
                    usage_subject(event.app_id),
                    event.SerializeToString(),
                    message_id=event.event_id,
                    headers=headers,
                    deadline_seconds=deadline_seconds,
                )
        except BusUnavailable as error:
            log.warning("usage_event_delayed", event_id=event.event_id, error=str(error))
            return False
        except LlmManagerError as error:
            # The stream will never take this one; trying on would hold up the others.
            log.error("usage_event_refused", event_id=event.event_id, error=str(error))  # noqa: TRY400
            return await self._store_least(event, deadline_seconds)
        return True

    async def _store_least(self, event: UsageRecorded, deadline_seconds: float) -> bool:
        """Store who, when and how much of an event that was refused whole."""
        least = _without_ballast(event)
        if least == event:
            EVENTS_LOST.inc()
            log.error("usage_event_lost", event_id=event.event_id, request_id=event.request_id)
            return True
        EVENTS_INCOMPLETE.inc()
        return await self._store(least, deadline_seconds)

    async def _retry(self) -> None:
        while True:
            await self._has_work.wait()
            while self._waiting:
                if await self._store(self._waiting[0], _RETRY_SECONDS):
                    self._waiting.popleft()
                else:
                    # a bus that refuses says so at once, not after the deadline
                    await asyncio.sleep(_PAUSE_SECONDS)
                    await self._bus.wait_connected(_RETRY_SECONDS)
            self._has_work.clear()
