"""Room in the stream USAGE comes from what is stored, and only from that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.consumer import Delivered, DurableConsumer
from llm_manager.kit.bus.permissions import authorization
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.bus_parties import until
from llm_manager.testing.nats import NatsServer
from llm_manager.usage.ledger.trimmer import Trimmer

ROOM = 1024 * 1024


async def publish(bus: Bus, first: int, last: int) -> None:
    for number in range(first, last):
        await publish_durable(
            bus, "llm.v1.usage.recorded.app", b"x" * 10_000, message_id=str(number), deadline_seconds=10
        )


async def test_the_older_half_of_what_is_stored_goes_and_nothing_else() -> None:
    gate = asyncio.Event()
    gate.set()
    handled = 0

    async def store(batch: Sequence[Delivered]) -> None:
        nonlocal handled
        await gate.wait()
        handled += len(batch)

    # as the usage service logs in: it alone may trim
    with NatsServer(authorization=authorization({"usage": "p"})) as server:
        async with connect(server.url, name="test", user="usage", token="p") as bus:
            await ensure_streams(bus, usage_bytes=ROOM)
            consumer = DurableConsumer(
                bus, stream="USAGE", durable="ledger", handler=store, max_batch=10, max_wait_seconds=0.05
            )
            trimmer = Trimmer(bus, stream="USAGE", durable="ledger")

            async def stored_up_to() -> int:
                info = await bus.jetstream.consumer_info("USAGE", "ledger")
                return info.ack_floor.stream_seq if info.ack_floor else 0

            async with consumer:
                await publish(bus, 0, 40)
                await until(lambda: handled == 40)
                assert await trimmer.trim() == 0, "there is room enough"
                async with asyncio.timeout(30):
                    while await stored_up_to() < 40:  # noqa: ASYNC110  # the server says it only when asked
                        await asyncio.sleep(0.02)
                gate.clear()
                await publish(bus, 40, 90)
                assert await trimmer.trim() == 40, "what waits is as large as what is stored"
                state = (await bus.jetstream.stream_info("USAGE")).state
                assert (state.first_seq, state.last_seq) == (41, 90)
                assert await trimmer.trim() == 0, "nothing of what waits may go"
                gate.set()
                await until(lambda: handled == 90)
