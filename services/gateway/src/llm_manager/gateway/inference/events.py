"""Says on the bus what became of every call: domain events, and the ledger's event of an attempt whose worker died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace

from llm_manager.contracts.events.v1 import inference_events_pb2 as events_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.usage import FREE_OPERATIONS, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Call
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import EVENT_COMPLETED, EVENT_STARTED, usage_subject
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.requests import Ending
from llm_manager.kit.wire.accounts import SOURCES, usage_to_proto

log = structlog.stdlib.get_logger("gateway")

_MAX_WAITING = 1_000
_PUBLISH_SECONDS = 30.0


def _instant(seconds: float) -> Timestamp:
    nanoseconds = int(seconds * 1_000_000) * 1_000
    return Timestamp(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)


class InferenceEvents:
    """Publishes started and completed, without waiting for anybody."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def started(self, call: Call, *, attempt_id: str, at: float) -> None:
        """Say that a call passed admission and goes to a worker; `at` in Unix seconds.

        The bus keeps the order of one connection, so this is stored before a worker can have the request.
        """
        is_charged = call.operation not in FREE_OPERATIONS
        instant = _instant(at)
        event = events_pb2.InferenceStarted(
            attempt=_handed_over(call, attempt_id=attempt_id, number=1, at=instant) if is_charged else None,
            ends_at=_instant(at + call.deadline_seconds),
            request_id=call.request_id,
            at=instant,
            app_id=call.caller.app_id,
            requested_model=call.requested_model,
            operation=call.operation,
            is_stream=call.is_stream,
        )
        self._publish(EVENT_STARTED, event.SerializeToString(), call)

    def completed(self, call: Call, *, at: float, error_code: str, attempts: int, duration_ms: int) -> None:
        """Say that a call ended; `error_code` is empty when it ended well."""
        outcome = "ok" if not error_code else "cancelled" if error_code == "cancelled" else "error"
        event = events_pb2.InferenceCompleted(
            request_id=call.request_id,
            at=_instant(at),
            app_id=call.caller.app_id,
            outcome=outcome,
            error_code=error_code,
            attempts=attempts,
            duration_ms=duration_ms,
        )
        self._publish(EVENT_COMPLETED, event.SerializeToString(), call)

    def _publish(self, subject: str, payload: bytes, call: Call) -> None:
        try:
            self._bus.send(subject, payload)
        except LlmManagerError as error:
            # the ledger is the truth; an event that cannot be told now is not worth failing a call for
            log.warning("inference_event_dropped", subject=subject, request_id=call.request_id, reason=error.code)


class LostAttempt(msgspec.Struct, frozen=True):
    """An attempt that no worker accounts for. `started_at` in Unix seconds.

    The source of `report` is NONE when it went to nobody, so that it cost nothing.
    """

    call: Call
    attempt_id: str
    number: int
    started_at: float
    duration_ms: int
    report: UsageReport
    error_code: str


class LostAttempts:
    """Records lost attempts in the ledger, from a bounded queue that a drain waits for.

    The event has the id that the worker's own has; when both are recorded, the ledger keeps the worker's.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: asyncio.Queue[LostAttempt] = asyncio.Queue(_MAX_WAITING)
        self._unended: set[asyncio.Task[None]] = set()

    def record(self, attempt: LostAttempt) -> None:
        """Queue an attempt that somebody is charged for; when the queue is full the reconciler finds it later."""
        if attempt.call.operation in FREE_OPERATIONS:
            return
        try:
            self._waiting.put_nowait(attempt)
        except asyncio.QueueFull:
            self._log_loss(attempt, "queue_full")

    def record_unless_ended(
        self, ending: asyncio.Future[Ending], attempt: LostAttempt, *, spent: Callable[[], UsageReport] | None
    ) -> None:
        """Record an attempt that its caller left, once it is certain that no worker will: in some seconds.

        Args:
            spent: asked for what it used when its worker says no more; None when that may be nothing, or anything.
        """
        if attempt.call.operation in FREE_OPERATIONS or len(self._unended) >= _MAX_WAITING:
            return  # of the latter the reconciler finds those that nobody recorded
        task = asyncio.create_task(self._record_unless_ended(ending, attempt, spent), name="left-attempt")
        self._unended.add(task)
        task.add_done_callback(self._unended.discard)

    async def _record_unless_ended(
        self, ending: asyncio.Future[Ending], attempt: LostAttempt, spent: Callable[[], UsageReport] | None
    ) -> None:
        match await ending:
            case Ending.UNBEGUN:
                self.record(attempt)
            case Ending.UNKNOWN if spent is not None:
                self.record(replace(attempt, report=spent()))
            case _:
                pass

    @asynccontextmanager
    async def recording(self, *, drain_seconds: float = 5.0) -> AsyncGenerator[None]:
        """Record in the background while the body runs; leaving waits for what is queued."""
        worker = asyncio.create_task(self._run(), name="lost-attempts")
        try:
            yield
            try:
                async with asyncio.timeout(drain_seconds):
                    await self._waiting.join()
            except TimeoutError:
                log.error("lost_attempts_not_drained", waiting=self._waiting.qsize())  # noqa: TRY400 # the number says it all
        finally:
            tasks = [worker, *self._unended]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            attempt = await self._waiting.get()
            event = _recorded(attempt)
            try:
                await publish_durable(
                    self._bus,
                    usage_subject(attempt.call.caller.app_id),
                    event.SerializeToString(),
                    # not the event's own id: JetStream would drop the worker's record if it came after this one
                    message_id=f"{event.event_id}.stand-in",
                    deadline_seconds=_PUBLISH_SECONDS,
                )
                log.info("lost_attempt_recorded", request_id=event.request_id, attempt_id=event.event_id)
            except LlmManagerError as error:
                self._log_loss(attempt, error.code)
            finally:
                self._waiting.task_done()

    @staticmethod
    def _log_loss(attempt: LostAttempt, reason: str) -> None:
        log.error(
            "lost_attempt_not_recorded",
            reason=reason,
            request_id=attempt.call.request_id,
            attempt_id=attempt.attempt_id,
            app_id=attempt.call.caller.app_id,
            provider=attempt.call.target.provider,
            upstream_model=attempt.call.target.upstream_model,
        )


def _handed_over(call: Call, *, attempt_id: str, number: int, at: Timestamp) -> event_pb2.UsageRecorded:
    """Return what is known of an attempt before anybody has worked on it."""
    return event_pb2.UsageRecorded(
        event_id=attempt_id,
        request_id=call.request_id,
        attempt=number,
        started_at=at,
        app_id=call.caller.app_id,
        api_key_id=call.caller.api_key_id,
        requested_model=call.requested_model,
        configuration=call.target.configuration,
        provider=call.target.provider,
        provider_kind=call.target.kind,
        upstream_model=call.target.upstream_model,
        operation=call.operation,
        is_stream=call.is_stream,
        end_user=call.end_user,
        tags=call.target.tags,
    )


def _recorded(attempt: LostAttempt) -> event_pb2.UsageRecorded:
    event = _handed_over(
        attempt.call, attempt_id=attempt.attempt_id, number=attempt.number, at=_instant(attempt.started_at)
    )
    is_cancelled = attempt.error_code == "cancelled"
    event.duration_ms = attempt.duration_ms
    event.state = event_pb2.ATTEMPT_STATE_CANCELLED if is_cancelled else event_pb2.ATTEMPT_STATE_ERROR
    event.error_code = attempt.error_code
    event.usage.CopyFrom(usage_to_proto(attempt.report.usage))
    event.usage_source = SOURCES[attempt.report.source]
    if attempt.report.source is UsageSource.NONE:
        event.cost.CopyFrom(event_pb2.Cost(state=event_pb2.COST_STATE_PRICED, total_picousd=0))
    else:
        event.cost.state = event_pb2.COST_STATE_UNPRICED
    event.recorder = event_pb2.RECORDER_GATEWAY
    return event
