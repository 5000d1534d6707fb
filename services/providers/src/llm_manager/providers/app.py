"""The composition root: builds the workers, wires them by constructors, runs them."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from llm_manager.kit.bus.connection import BusState, connect
from llm_manager.kit.bus.kv import watch
from llm_manager.kit.bus.names import BUCKET_CONFIG, KEY_PRICE_BOOK, QUEUE_WORKERS, infer_subject
from llm_manager.kit.bus.responder import Responder
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.kit.ops import Ops
from llm_manager.kit.service import run_from_environment
from llm_manager.providers.client import HttpClient
from llm_manager.providers.consumer import Consumer
from llm_manager.providers.credentials import Credentials
from llm_manager.providers.echo import EchoUpstream
from llm_manager.providers.price_book import CurrentPrices
from llm_manager.providers.recorder import Recorder
from llm_manager.providers.service import Inference
from llm_manager.providers.settings import ProvidersSettings

QUEUE = QUEUE_WORKERS
# Settlement of what is cancelled at the end of a drain must fit into the grace period too.
_SETTLEMENT_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def new_worker_id() -> str:
    """Return a name of this process that is one token of a subject."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


@asynccontextmanager
async def lifespan(settings: ProvidersSettings, ops: Ops) -> AsyncGenerator[None]:
    """Serve while entered; leaving drains: no new work, what is in flight ends or is recorded as far as it came."""
    known = settings.known_facts()
    facts = settings.chosen(known)
    prices = CurrentPrices()
    worker_id = new_worker_id()
    token = settings.nats_token.reveal() if settings.nats_token else None
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(
            connect(
                settings.nats_url, name=f"providers {worker_id}", user=settings.nats_user, token=token, on_lost=ops.fail
            )
        )
        await ensure_streams(bus)
        await stack.enter_async_context(watch(bus, BUCKET_CONFIG, prices.on_change, keys=KEY_PRICE_BOOK))
        client = await stack.enter_async_context(HttpClient(private_networks=settings.allowed_networks()))
        recorder = await stack.enter_async_context(Recorder(bus))
        inference = Inference(
            facts,
            {"http": client, "echo": EchoUpstream(known["echo"])},
            Credentials(settings.secret_box()),
        )
        await stack.enter_async_context(
            Responder(
                bus,
                worker_id=worker_id,
                queue=QUEUE,
                subjects=[infer_subject(kind) for kind in facts],
                handler=Consumer(inference, recorder, prices).handle,
                max_in_flight=settings.max_in_flight,
                why_not=recorder.why_not,
                description="Calls providers and records what every attempt used.",
                metadata={"kinds": ",".join(facts)},
                drain_seconds=max(settings.drain_seconds - _SETTLEMENT_SECONDS, 0.0),
            )
        )
        ops.add_check("nats", lambda: None if bus.state is BusState.CONNECTED else f"NATS is {bus.state}")
        ops.add_check("price_book", prices.why_not_ready)
        ops.add_check("usage_events", recorder.why_not_ready)
        log.info("worker_ready", worker_id=worker_id, kinds=list(facts))
        yield


def main() -> int:
    """Run the service; returns the exit code of the process."""
    return run_from_environment("providers", ProvidersSettings, lifespan)
