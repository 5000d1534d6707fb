"""The price book on a real bus."""

from __future__ import annotations

import asyncio

from nats import errors

from llm_manager.core.prices import PriceBook
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.kv import put
from llm_manager.kit.bus.names import KEY_PRICE_BOOK
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import NatsServer
from llm_manager.usage.prices.client import publish, published


async def on_the_bus(bus: Bus) -> bytes | None:
    return (await (await bus.jetstream.key_value("config")).get(KEY_PRICE_BOOK)).value


async def is_on_the_bus(bus: Bus, book: PriceBook) -> bool:
    # JetStream is back a moment later than the connection, and does not answer what came before
    try:
        async with asyncio.timeout(0.3):
            return await on_the_bus(bus) == book.to_json()
    except (errors.Error, TimeoutError):
        return False


async def test_a_book_is_published_once_and_again_when_it_changes(bus: Bus, book: PriceBook) -> None:
    changed = PriceBook("of another version", book.prices)

    assert [await publish(bus, either) for either in (book, book, changed, changed, book)] == [True, False] * 2 + [True]
    assert PriceBook.from_json(await on_the_bus(bus) or b"").prices == book.prices


async def test_a_book_that_was_lost_comes_back_with_the_connection(
    mortal_nats_server: NatsServer, book: PriceBook
) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        async with published(bus, book):
            await put(bus, "config", KEY_PRICE_BOOK, b"overwritten")
            mortal_nats_server.restart()
            async with asyncio.timeout(15):
                while not await is_on_the_bus(bus, book):  # noqa: ASYNC110 (the server sends no event for it)
                    await asyncio.sleep(0.02)

            assert await on_the_bus(bus) == book.to_json()
