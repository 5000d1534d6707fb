"""The price book on the bus, where the workers read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from nats import errors
from nats.js.errors import Error as JetStreamError
from nats.js.errors import KeyNotFoundError

from llm_manager.core.errors import BusUnavailable, LlmManagerError
from llm_manager.core.prices import PriceBook
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.kv import put
from llm_manager.kit.bus.names import BUCKET_CONFIG, KEY_PRICE_BOOK

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# JetStream is back a moment later than the connection, and does not answer what came before.
_READ_SECONDS = 2.0
_RETRY_SECONDS = 0.5


async def publish(bus: Bus, book: PriceBook) -> bool:
    """Put the book where the workers watch, unless the very same is there; return whether it was put.

    Raises:
        BusUnavailable: there is no answer from NATS.
        StoreUnavailable: the bucket does not exist.
    """
    text = book.to_json()
    if await _current(bus) == text:
        return False
    await put(bus, BUCKET_CONFIG, KEY_PRICE_BOOK, text)
    log.info("price_book_published", version=book.version, prices=len(book.prices), size_bytes=len(text))
    return True


@asynccontextmanager
async def published(bus: Bus, book: PriceBook) -> AsyncGenerator[None]:
    """Publish the book, and again when NATS comes back without it, while the body runs. Raises as `publish`."""
    await publish(bus, book)
    came_back = asyncio.Event()
    remove = bus.on_reconnect(came_back.set)
    task = asyncio.create_task(_republish(bus, book, came_back), name="price-book")
    try:
        yield
    finally:
        remove()
        task.cancel()
        await asyncio.wait({task})


async def _republish(bus: Bus, book: PriceBook, came_back: asyncio.Event) -> None:
    while True:
        await came_back.wait()
        came_back.clear()
        try:
            await publish(bus, book)
        except LlmManagerError as error:
            log.warning("price_book_not_published", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            came_back.set()


async def _current(bus: Bus) -> bytes | None:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            bucket = await bus.jetstream.key_value(BUCKET_CONFIG)
            return (await bucket.get(KEY_PRICE_BOOK)).value
    except KeyNotFoundError:
        return None
    except (errors.Error, JetStreamError, TimeoutError) as error:
        raise BusUnavailable(f"The price book could not be read from the bus ({error}); retry in a moment.") from error
