"""Composition root of the usage service: builds everything, wires it by constructors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from llm_manager.contracts.usage.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server
from llm_manager.core.prices import PriceBook
from llm_manager.kit import rpc
from llm_manager.kit.bus.connection import Bus, BusState, connect
from llm_manager.kit.bus.consumer import DurableConsumer
from llm_manager.kit.bus.names import CONSUMER_LEDGER, STREAM_USAGE
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_client import give_back_startup_pages
from llm_manager.kit.clickhouse_migrations import migrate
from llm_manager.kit.service import Ops, run_from_environment, run_once_from_environment
from llm_manager.kit.settings import SettingsError
from llm_manager.usage.ledger.consumer import LedgerConsumer
from llm_manager.usage.ledger.lag import LagGauge
from llm_manager.usage.ledger.reconciler import Reconciler
from llm_manager.usage.ledger.store import MIGRATIONS, LedgerStore
from llm_manager.usage.ledger.trimmer import Trimmer
from llm_manager.usage.prices.client import published
from llm_manager.usage.prices.rules import PriceDataError
from llm_manager.usage.prices.store import PriceBooks, load_book
from llm_manager.usage.settings import UsageSettings
from llm_manager.usage.statistics.rpc import SERVICE_NAME, UsageServicer
from llm_manager.usage.statistics.store import StatisticsStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DURABLE = CONSUMER_LEDGER
# A batch of a process that was killed comes back after so long; a batch at work keeps its own however long it takes.
_ACK_WAIT_SECONDS = 5.0


def main() -> int:
    """Run the service until it is told to stop; return the exit code of the process."""
    return run_from_environment("usage", UsageSettings, lifespan)


def migrate_main() -> int:
    """Bring the ledger's tables to their newest form and end; the service does the same when it starts."""
    return run_once_from_environment("usage", UsageSettings, _migrate)


def price_book(settings: UsageSettings) -> PriceBook:
    """Return our prices with those of the owner.

    Raises:
        SettingsError: a price file is wrong; the message names it and what to correct.
    """
    try:
        return load_book(settings.price_files)
    except PriceDataError as error:
        raise SettingsError(f"LLM_MANAGER_USAGE_PRICE_FILES: {error}") from error


@asynccontextmanager
async def lifespan(settings: UsageSettings, ops: Ops) -> AsyncGenerator[None]:
    """Be ready inside, drained after: the batch in hand is stored and acknowledged, calls in flight are answered."""
    book = price_book(settings)
    async with AsyncExitStack() as stack:
        # Two clients share the engine, so that a slow question does not hold up the ledger.
        writer, reader = await _open_clickhouse(settings, stack)
        token = settings.nats_token.reveal() if settings.nats_token is not None else None
        opening = connect(settings.nats_url, name="usage", user=settings.nats_user, token=token, on_lost=ops.fail)
        bus = await stack.enter_async_context(opening)
        ops.add_check("bus", partial(_why_bus_not_ready, bus))
        await ensure_streams(bus, usage_bytes=settings.stream_bytes)
        await stack.enter_async_context(published(bus, book))
        servicer = UsageServicer(StatisticsStore(reader))
        port = await stack.enter_async_context(
            rpc.server(
                host=settings.grpc_host,
                port=settings.grpc_port,
                token=settings.rpc_token,
                services=[partial(add_UsageServiceServicer_to_server, servicer)],
                service_names=[SERVICE_NAME],
            )
        )
        books = PriceBooks(writer, book)
        await books.keep()
        consumer = LedgerConsumer(LedgerStore(writer), books)
        ops.add_check("ledger", consumer.why_not_ready)
        await stack.enter_async_context(LagGauge(bus, stream=STREAM_USAGE, durable=DURABLE))
        await stack.enter_async_context(
            DurableConsumer(
                bus,
                stream=STREAM_USAGE,
                durable=DURABLE,
                handler=consumer.handle,
                max_batch=settings.batch_events,
                max_wait_seconds=settings.batch_seconds,
                ack_wait_seconds=_ACK_WAIT_SECONDS,
            )
        )
        await stack.enter_async_context(Trimmer(bus, stream=STREAM_USAGE, durable=DURABLE).running())
        reconciler = Reconciler(bus, LedgerStore(writer), grace_seconds=settings.reconcile_grace_seconds)
        await stack.enter_async_context(reconciler.running(interval_seconds=settings.reconcile_seconds))
        give_back_startup_pages()
        log.info("usage_serving", grpc_port=port, price_version=book.version, prices=len(book.prices))
        yield


async def _open_clickhouse(settings: UsageSettings, stack: AsyncExitStack) -> tuple[ClickHouse, ClickHouse]:
    dsn = settings.clickhouse_dsn.reveal()
    writer = await stack.enter_async_context(ClickHouse(dsn))
    reader = await stack.enter_async_context(ClickHouse(dsn))
    await migrate(writer, MIGRATIONS)
    return writer, reader


async def _migrate(settings: UsageSettings) -> None:
    async with ClickHouse(settings.clickhouse_dsn.reveal()) as client:
        await migrate(client, MIGRATIONS)


def _why_bus_not_ready(bus: Bus) -> str | None:
    return None if bus.state is BusState.CONNECTED else f"the connection to NATS is {bus.state}"
