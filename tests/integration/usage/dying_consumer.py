"""A process that takes events into a ledger and kills itself at a chosen point. Started by test_exactly_once.py.

`python dying_consumer.py <nats url> <clickhouse dsn> <before|between|after|finish>`; `finish` stores everything that is
left, then prints how many attempts the ledger holds and their cost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from llm_manager.kit.bus.connection import connect
from llm_manager.kit.bus.consumer import Delivered, DurableConsumer
from llm_manager.kit.bus.names import STREAM_USAGE
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.kit.clickhouse_migrations import migrate
from llm_manager.usage.ledger.consumer import LedgerConsumer
from llm_manager.usage.ledger.lag import LagGauge
from llm_manager.usage.ledger.store import MIGRATIONS, LedgerStore
from llm_manager.usage.prices.store import PriceBooks, load_book
from llm_manager.usage.statistics.rules import Filter
from llm_manager.usage.statistics.store import StatisticsStore

DURABLE = "ledger-of-a-test"


async def main(nats_url: str, dsn: str, point: str) -> None:
    """Run until killed, or until the stream is stored."""
    async with ClickHouse(dsn) as clickhouse, connect(nats_url, name="dying") as bus:
        await migrate(clickhouse, MIGRATIONS)
        ledger = LedgerConsumer(LedgerStore(clickhouse), PriceBooks(clickhouse, load_book()))

        async def handle(messages: Sequence[Delivered]) -> None:
            # a batch begins at random where the last process ended, so batches overlap in every way
            if point == "between":
                await ledger.handle(messages[: len(messages) // 2])
            elif point in ("after", "finish"):
                await ledger.handle(messages)
            if point != "finish":
                os.kill(os.getpid(), signal.SIGKILL)

        consumer = DurableConsumer(
            bus,
            stream=STREAM_USAGE,
            durable=DURABLE,
            handler=handle,
            max_batch=150,
            max_wait_seconds=0.05,
            ack_wait_seconds=0.7,
        )
        lag = LagGauge(bus, stream=STREAM_USAGE, durable=DURABLE)
        async with consumer:
            await asyncio.sleep(0.1)
            while await lag.measure():  # noqa: ASYNC110 (JetStream sends no event for it)
                await asyncio.sleep(0.05)
        totals = await StatisticsStore(clickhouse).total(Filter())
        print(totals.attempts, totals.usage.output_text, totals.cost_usd)  # noqa: T201 (read by the test)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
