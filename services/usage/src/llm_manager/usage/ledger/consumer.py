"""The stream USAGE into the ledger: decode, examine, store, and only then let the bus forget."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import structlog

from llm_manager.core.errors import InternalError, LlmManagerError, StoreUnavailable
from llm_manager.core.prices import CostState
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.consumer import Delivered
from llm_manager.usage.ledger.events_wire import decode
from llm_manager.usage.ledger.metrics import LEDGER_EVENTS_REJECTED
from llm_manager.usage.ledger.rules import Attempt, UnusableEventError, examine
from llm_manager.usage.ledger.store import LedgerStore, Rejected
from llm_manager.usage.prices.store import PriceBooks

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REFUSED_BY_STORE = "refused_by_store"
# So many events in a row that became no row are no accident of one: somebody must look.
_MOST_REJECTED = 20


class _Read(msgspec.Struct, frozen=True):
    """One message and the attempt that it tells of."""

    message: Delivered
    attempt: Attempt


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LedgerConsumer:
    """Takes batches from the stream. `handle` returns only when every message is on disk, as a row or as rejected."""

    def __init__(self, store: LedgerStore, books: PriceBooks, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._store = store
        self._books = books
        self._clock = clock
        self._failure: str | None = None
        self._rejected_in_row = 0
        self._rejected_for = ""

    def why_not_ready(self) -> str | None:
        """Return why events become no rows; None while they do. They are not lost meanwhile."""
        if self._failure is None and self._rejected_in_row >= _MOST_REJECTED:
            return (
                f"the last {self._rejected_in_row} events became no row ({self._rejected_for}); "
                "they are kept in usage.rejected"
            )
        return self._failure

    async def handle(self, messages: Sequence[Delivered]) -> None:
        """Store a batch.

        Raises:
            LlmManagerError: not everything could be stored. The caller delivers the same messages again later; those
                that were stored already are counted once.
        """
        try:
            reads, rejected = await self._read(messages)
            refused = await self._write(reads)
            rejected += [Rejected(read.message.data, read.message.subject, (REFUSED_BY_STORE,)) for read in refused]
            await self._store.reject(rejected)
        except LlmManagerError as error:
            self._failure = f"events wait in the stream, because the ledger cannot be written: {error.code}"
            cause = str(error.__cause__ or error)
            log.warning("ledger_write_failed", error_code=error.code, error=cause, events=len(messages))
            raise
        self._failure = None
        self._rejected_in_row = 0 if len(refused) < len(reads) else self._rejected_in_row + len(messages)
        if rejected:
            self._rejected_for = ", ".join(rejected[-1].reasons)
        for message in rejected:
            for reason in message.reasons:
                LEDGER_EVENTS_REJECTED.labels(reason).inc()
            log.error("usage_rejected", reasons=message.reasons, subject=message.subject)

    async def _read(self, messages: Sequence[Delivered]) -> tuple[list[_Read], list[Rejected]]:
        """Return what becomes a row, and what a person must look at."""
        now, decoded = self._clock(), list[_Read]()
        reads, rejected = list[_Read](), list[Rejected]()
        for message in messages:
            try:
                decoded.append(_Read(message, decode(message.data)))
            except UnusableEventError as reason:
                rejected.append(Rejected(message.data, message.subject, (str(reason),)))
        books = await self._books.of(read.attempt.money.price_version for read in decoded)
        for read in decoded:
            message = read.message
            try:
                attempt = examine(read.attempt, now=now, books=books)
            except UnusableEventError as reason:
                rejected.append(Rejected(message.data, message.subject, (str(reason),)))
                continue
            reads.append(read if attempt is read.attempt else _Read(message, attempt))
            if attempt.defects:
                rejected.append(Rejected(message.data, message.subject, attempt.defects))
        return reads, rejected

    async def _write(self, reads: Sequence[_Read]) -> list[_Read]:
        """Store rows and return those that ClickHouse refuses for what they hold.

        A row is blamed only when another row of its batch was taken; when none is, the fault is the table's or ours,
        and the messages stay in the stream.

        Raises:
            LlmManagerError: ClickHouse is away, busy, or refuses everything.
        """
        if not reads:
            return []
        with _spans(reads):
            started = time.monotonic()
            refused, error = await self._write_or_split(reads)
            if error is not None and len(refused) == len(reads):
                raise StoreUnavailable(f"The ledger takes none of {len(reads)} rows; see its log.") from error
        names.LEDGER_WRITE_DURATION.observe(time.monotonic() - started)
        self._count(reads if not refused else [read for read in reads if read not in refused])
        return refused

    async def _write_or_split(self, reads: Sequence[_Read]) -> tuple[list[_Read], InternalError | None]:
        try:
            await self._store.write([read.attempt for read in reads])
        except InternalError as error:
            if len(reads) == 1:
                return list(reads), error
            middle = len(reads) // 2
            left, left_error = await self._write_or_split(reads[:middle])
            right, right_error = await self._write_or_split(reads[middle:])
            return left + right, right_error or left_error
        return [], None

    def _count(self, reads: Sequence[_Read]) -> None:
        attempts = [read.attempt for read in reads]
        for state, count in Counter(attempt.state for attempt in attempts).items():
            names.LEDGER_EVENTS_WRITTEN.labels(state).inc(count)
        unpriced = Counter(
            (attempt.provider_kind, attempt.upstream_model, attempt.money.price_version)
            for attempt in attempts
            if attempt.money.state is CostState.UNPRICED
        )
        # a line for each model of a batch, not for each event: one model without a price can be all of the traffic
        for (kind, model, version), count in unpriced.items():
            names.LEDGER_EVENTS_UNPRICED.inc(count)
            log.warning("usage_unpriced", provider_kind=kind, upstream_model=model, price_version=version, events=count)
        newest = max((attempt.started_at for attempt in attempts), default=None)
        if newest is not None:
            names.LEDGER_LAG_SECONDS.set(max(0.0, (self._clock() - newest).total_seconds()))


@contextmanager
def _spans(reads: Sequence[_Read]) -> Generator[None]:
    """Give every event that brought a trace its own span of the common write, so that each trace ends in the ledger."""
    if not telemetry.tracer.is_enabled:
        yield
        return
    opened = [
        telemetry.tracer.start_span(
            names.SPAN_LEDGER_WRITE,
            kind=telemetry.SpanKind.CONSUMER,
            context=telemetry.extract(read.message.headers),
            attributes={
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: "process",
                names.MESSAGING_BATCH_MESSAGE_COUNT: len(reads),
                names.DB_SYSTEM_NAME: names.DB_SYSTEM_CLICKHOUSE,
                names.DB_COLLECTION_NAME: "usage.events",
                names.REQUEST_ID: read.attempt.request_id,
                names.ATTEMPT_ID: str(read.attempt.event_id),
                names.APP_ID: read.attempt.app_id,
                names.STATE: str(read.attempt.state),
            },
        )
        for read in reads
        if "traceparent" in read.message.headers
    ]
    try:
        yield
    except BaseException as error:
        for span in opened:
            telemetry.mark_failed(span, error)
        raise
    finally:
        for span in opened:
            span.end()
