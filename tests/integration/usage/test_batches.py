"""How the ledger's batches are gathered: at once when events come seldom, more at a time under load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.consumer import Delivered, DurableConsumer
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.testing.bus_parties import until

_SHORT_SECONDS = 0.2


@pytest.mark.parametrize(("waiting", "batches"), [(2, [2, 1]), (8, [9])])
async def test_what_comes_after_the_short_wait_joins_only_a_batch_of_more_than_a_handful(
    bus: Bus, waiting: int, batches: list[int]
) -> None:
    subject, durable = f"llm.v1.event.{uuid7()}", f"test-{uuid7()}"
    sizes: list[int] = []

    async def handle(messages: Sequence[Delivered]) -> None:
        sizes.append(len(messages))

    async def publish(count: int) -> None:
        for _ in range(count):
            await publish_durable(bus, subject, b"", message_id=uuid7(), deadline_seconds=5)

    await publish(waiting)
    async with DurableConsumer(
        bus,
        stream="EVENTS",
        durable=durable,
        handler=handle,
        max_batch=100,
        max_wait_seconds=_SHORT_SECONDS,
        filter_subject=subject,
    ):
        await asyncio.sleep(2 * _SHORT_SECONDS)
        await publish(1)
        await until(lambda: sum(sizes) == waiting + 1)

    assert sizes == batches


async def test_a_full_batch_waits_for_nobody(bus: Bus) -> None:
    subject, durable = f"llm.v1.event.{uuid7()}", f"test-{uuid7()}"
    sizes: list[int] = []

    async def handle(messages: Sequence[Delivered]) -> None:
        sizes.append(len(messages))

    for _ in range(30):
        await publish_durable(bus, subject, b"", message_id=uuid7(), deadline_seconds=5)
    async with DurableConsumer(
        bus, stream="EVENTS", durable=durable, handler=handle, max_batch=10, max_wait_seconds=60, filter_subject=subject
    ):
        await until(lambda: sum(sizes) == 30)
        async with asyncio.timeout(5):
            while (await bus.jetstream.consumer_info("EVENTS", durable)).num_ack_pending:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.01)

    assert sizes == [10, 10, 10]
