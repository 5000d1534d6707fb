"""What of the catalogue reaches a worker."""

from __future__ import annotations

from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.kv import put
from llm_manager.kit.bus.names import BUCKET_CONFIG, KEY_PRICE_BOOK
from llm_manager.kit.ops import Ops
from llm_manager.kit.settings import load
from llm_manager.providers.app import lifespan
from llm_manager.providers.settings import ProvidersSettings
from llm_manager.testing.master_key import MASTER_KEY_TEXT
from llm_manager.testing.nats import NatsServer

PREFIX = "LLM_MANAGER_PROVIDERS_"


async def test_a_worker_asks_for_the_price_book_and_for_no_api_keys(nats_server: NatsServer, bus: Bus) -> None:
    await put(bus, BUCKET_CONFIG, KEY_PRICE_BOOK, b'{"version":"v1","prices":[]}')
    values = {"NATS_URL": nats_server.url, "MASTER_KEY": MASTER_KEY_TEXT, "KINDS": "echo"}
    settings = load(ProvidersSettings, {PREFIX + name: value for name, value in values.items()})
    before = {info.name for info in await bus.jetstream.consumers_info(f"KV_{BUCKET_CONFIG}")}
    async with lifespan(settings, Ops()):
        consumers = await bus.jetstream.consumers_info(f"KV_{BUCKET_CONFIG}")
        asked = [info.config.filter_subject for info in consumers if info.name not in before]
    assert asked == [f"$KV.{BUCKET_CONFIG}.{KEY_PRICE_BOOK}"]
