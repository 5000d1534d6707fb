"""Finds attempts that were handed over and that nobody lived to account for, and gives each a row.

The gateway says on the stream EVENTS what goes to a worker, before it goes. Worker and gateway record how it ended;
when both are killed, or one is while the client leaves, nobody does. Whoever has no row when its time is over gets one
here, with unknown counts and cost. It goes the way of every event, through the stream USAGE, so that a record that
comes later all the same is preferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from google.protobuf.message import DecodeError
from nats import errors
from nats.aio.msg import Msg
from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import Error as JetStreamError

from llm_manager.contracts.events.v1.inference_events_pb2 import InferenceStarted
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import LlmManagerError
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import EVENT_STARTED, STREAM_EVENTS, usage_subject
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.usage.ledger.metrics import LEDGER_ATTEMPTS_RECONCILED
from llm_manager.usage.ledger.rules import UnusableEventError, parse_event_id
from llm_manager.usage.ledger.store import LedgerStore

ERROR_CODE = "worker_lost"
_CHECKPOINT = "reconciler"
_BATCH = 1_000
_FETCH_SECONDS = 1.0
_PUBLISH_SECONDS = 10.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Looks through the attempts that were started.

    Args:
        grace_seconds: an attempt is looked for that long after its time is over: its record may wait in a stream.
    """

    def __init__(
        self, bus: Bus, store: LedgerStore, *, grace_seconds: float, clock: Callable[[], datetime] = _utc_now
    ) -> None:
        self._bus = bus
        self._store = store
        self._grace_seconds = grace_seconds
        self._clock = clock

    @asynccontextmanager
    async def running(self, *, interval_seconds: float) -> AsyncGenerator[None]:
        """Look again and again while the body runs."""
        task = asyncio.create_task(self._run(interval_seconds), name="reconciler")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, interval_seconds: float) -> None:
        while True:
            try:
                await self.look()
            except (LlmManagerError, errors.Error, JetStreamError, TimeoutError) as error:
                # Nothing is lost: the next look begins at the same place.
                log.warning("reconciler_waits", error=str(error), error_type=type(error).__name__)
            await asyncio.sleep(interval_seconds)

    async def look(self) -> int:
        """Record what was started, is over, and has no row; return how many attempts that were.

        Raises:
            LlmManagerError, nats.errors.Error: bus or ledger are away; what was not looked at is looked at again.
        """
        reached = await self._store.checkpoint(_CHECKPOINT)
        stream = (await self._bus.jetstream.stream_info(STREAM_EVENTS)).state
        if reached > stream.last_seq:
            reached = 0  # the stream was made anew
        config = api.ConsumerConfig(
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(reached + 1, stream.first_seq),
            ack_policy=api.AckPolicy.NONE,
            inactive_threshold=30.0,
        )
        if stream.last_seq <= reached:
            return 0
        pull = self._bus.jetstream.pull_subscribe
        subscription = await pull(EVENT_STARTED, stream=STREAM_EVENTS, config=config)
        try:
            return await self._look_through(subscription, reached)
        finally:
            await subscription.unsubscribe()

    async def _look_through(self, subscription: JetStreamContext.PullSubscription, reached: int) -> int:
        found = 0
        while True:
            try:
                messages = await subscription.fetch(_BATCH, timeout=_FETCH_SECONDS)
            except TimeoutError:
                # nats-py raises its own and, when the server says nothing at all, Python's
                return found
            due = self._due(messages)
            found += await self._record_missing([event for _, event in due if event is not None])
            if due and due[-1][0] > reached:
                reached = due[-1][0]
                await self._store.set_checkpoint(_CHECKPOINT, reached)
            if len(due) < len(messages):
                return found

    def _due(self, messages: Sequence[Msg]) -> list[tuple[int, event_pb2.UsageRecorded | None]]:
        """Return the attempts from the first on, with their places in the stream, up to one that may still run."""
        due: list[tuple[int, event_pb2.UsageRecorded | None]] = []
        latest_end = self._clock().timestamp() - self._grace_seconds
        for message in messages:
            place = message.metadata.sequence.stream
            try:
                started = InferenceStarted.FromString(message.data)
            except DecodeError:
                due.append((place, None))
                continue
            if started.ends_at.ToNanoseconds() / 1e9 > latest_end:
                break
            due.append((place, _attempt_of(started)))
        return due

    async def _record_missing(self, attempts: Sequence[event_pb2.UsageRecorded]) -> int:
        known = await self._store.known([attempt.event_id for attempt in attempts])
        missing = [attempt for attempt in attempts if attempt.event_id not in known]
        for attempt in missing:
            attempt.state = event_pb2.ATTEMPT_STATE_ERROR
            attempt.error_code = ERROR_CODE
            attempt.usage_source = event_pb2.USAGE_SOURCE_UNKNOWN
            attempt.cost.state = event_pb2.COST_STATE_UNPRICED
            attempt.recorder = event_pb2.RECORDER_RECONCILER
            await publish_durable(
                self._bus,
                usage_subject(attempt.app_id),
                attempt.SerializeToString(),
                # not the event's own id: JetStream would drop the worker's record if it came after this one
                message_id=f"{attempt.event_id}.reconciled",
                deadline_seconds=_PUBLISH_SECONDS,
            )
            LEDGER_ATTEMPTS_RECONCILED.inc()
            log.warning("attempt_reconciled", request_id=attempt.request_id, attempt_id=attempt.event_id)
        return len(missing)


def _attempt_of(started: InferenceStarted) -> event_pb2.UsageRecorded | None:
    """Return the attempt, None where nobody is charged or where it can be no row: such a one would end every look."""
    if not started.HasField("attempt"):
        return None
    try:
        parse_event_id(started.attempt.event_id)
    except UnusableEventError as reason:
        log.error("attempt_not_reconciled", request_id=started.request_id, reason=str(reason))  # noqa: TRY400
        return None
    return started.attempt
