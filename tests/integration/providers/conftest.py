"""A worker as it runs in the product, on a real NATS, and a client that asks it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import CREDENTIAL_AAD
from llm_manager.kit.bus.requests import Requester
from llm_manager.kit.bus.responder import Responder
from llm_manager.kit.secrets import SecretBox
from llm_manager.providers.client import HttpClient
from llm_manager.providers.consumer import Consumer
from llm_manager.providers.credentials import Credentials
from llm_manager.providers.echo import EchoUpstream
from llm_manager.providers.price_book import CurrentPrices
from llm_manager.providers.recorder import Recorder
from llm_manager.providers.service import Inference
from llm_manager.testing.asker import Asker
from llm_manager.testing.nats_fixtures import bus, mortal_nats_server, nats_server
from llm_manager.testing.upstream import FakeUpstream, fake_upstream

__all__ = ["bus", "mortal_nats_server", "nats_server"]

BOX = SecretBox(b"k" * 32)
PRICES = b"""{"version": "2026-11-24.1", "prices": [
  {"kind": "custom", "models": ["asked-for"], "valid_from": "2026-01-01", "source": "test", "checked_on": "2026-11-24",
   "rates": {"input_uncached": 1000000000000, "cache_read": 100000000000, "output_text": 2000000000000}},
  {"kind": "custom", "models": ["upstream-says"], "valid_from": "2026-01-01", "source": "test",
   "checked_on": "2026-11-24", "rates": {"input_uncached": 7000000000000, "output_text": 7000000000000}}]}"""


@asynccontextmanager
async def running_worker(bus: Bus, *, drain_seconds: float = 1.0, kinds: tuple[str, ...] = ()) -> AsyncGenerator[Asker]:
    """Run a worker for all kinds under a subject of its own, and under those of some kinds."""
    token = uuid7().replace("-", "")
    prices = CurrentPrices()
    prices.on_change("price_book", PRICES)
    async with HttpClient() as client, Recorder(bus) as recorder, Requester(bus) as requester:
        facts = load_facts()
        inference = Inference(facts, {"http": client, "echo": EchoUpstream(facts["echo"])}, Credentials(BOX))
        subject = f"llm.v1.infer.test-{token}"
        asker = Asker(requester, subject, f"app-{token}", lambda text: BOX.seal(text.encode(), aad=CREDENTIAL_AAD))
        subscription = await bus.subscribe(asker.events_subject, asker.take)
        responder = Responder(
            bus,
            worker_id=f"worker-{token}",
            queue="providers",
            subjects=[subject, *(f"llm.v1.infer.{kind}" for kind in kinds)],
            handler=Consumer(inference, recorder, prices).handle,
            max_in_flight=10,
            drain_seconds=drain_seconds,
        )
        async with responder:
            yield asker
        await subscription.unsubscribe()


@pytest.fixture
async def upstream() -> AsyncGenerator[FakeUpstream]:
    async with fake_upstream() as fake:
        yield fake


@pytest.fixture
async def asker(bus: Bus, upstream: FakeUpstream) -> AsyncGenerator[Asker]:
    async with running_worker(bus) as running:
        running.base_url = upstream.base_url
        yield running


@pytest.fixture
async def echo_worker(bus: Bus) -> AsyncGenerator[Asker]:
    """A worker that also serves the demo's kind under its real subject."""
    async with running_worker(bus, kinds=("echo",)) as running:
        yield running
