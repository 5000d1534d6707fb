"""Usage events as workers publish them: fixtures of the unit and the integration tests of the usage service."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import PriceBook
from llm_manager.core.usage import BUCKETS, Usage
from llm_manager.kit.bus.consumer import Delivered
from llm_manager.kit.wire.accounts import cost_to_proto
from llm_manager.usage.prices.store import load_book

BOOKS = {book.version: book for book in [load_book()]}
EventFactory = Callable[..., event_pb2.UsageRecorded]


@pytest.fixture(scope="session")
def book() -> PriceBook:
    """The book that the service ships."""
    return next(iter(BOOKS.values()))


def event_id(at: datetime, *, seed: int | None = None) -> str:
    """A UUIDv7 born at an instant, the same one for the same seed."""
    bits = random.Random(seed).getrandbits(80) if seed is not None else random.getrandbits(80)
    value = (int(at.timestamp() * 1000) << 80) | bits
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


@pytest.fixture
def make_event(book: PriceBook) -> EventFactory:
    """Make an event as a worker publishes it, priced by the shipped book; keywords replace its fields."""

    def make(
        *,
        at: datetime | None = None,
        seed: int | None = None,
        usage: Usage | None = None,
        kind: str = "openai",
        upstream_model: str = "gpt-4o-mini",
        reported_cost_usd: str | None = None,
        **fields: Any,  # fields of the contract, whatever their types
    ) -> event_pb2.UsageRecorded:
        at = at or datetime.now(UTC) - timedelta(seconds=1)
        counted = usage or Usage(input_uncached=12, cache_read=3, output_text=7, requests=1)
        cost = book.cost_of(counted, kind=kind, model=upstream_model, at=at, reported_cost_usd=reported_cost_usd)
        event = event_pb2.UsageRecorded(
            event_id=event_id(at, seed=seed),
            request_id="req_1",
            attempt=1,
            duration_ms=900,
            time_to_first_token_ms=120,
            app_id="app_1",
            api_key_id="key_1",
            requested_model="fast",
            configuration="fast",
            provider="openai-eu",
            provider_kind=kind,
            upstream_model=upstream_model,
            response_model="gpt-4o-mini-2024-07-18",
            operation="chat",
            is_stream=True,
            state=event_pb2.ATTEMPT_STATE_OK,
            upstream_status=200,
            upstream_request_id="req_abc",
            finish_reason="stop",
            native_finish_reason="stop",
            usage=event_pb2.Usage(**{name: getattr(counted, name) for name in BUCKETS}),
            usage_source=event_pb2.USAGE_SOURCE_PROVIDER,
            raw_usage=b'{"prompt_tokens":15,"completion_tokens":7}',
            cost=cost_to_proto(cost),
            end_user="user_1",
            tags={"team": "search"},
            recorder=event_pb2.RECORDER_WORKER,
        )
        event.started_at.FromDatetime(at.replace(microsecond=at.microsecond // 1000 * 1000))
        for name, value in fields.items():
            setattr(event, name, value)
        return event

    return make


@pytest.fixture
def deliver() -> Callable[..., Delivered]:
    """Make what the consumer gets from the stream for an event or for raw bytes."""

    def make(event: event_pb2.UsageRecorded | bytes, *, headers: dict[str, str] | None = None) -> Delivered:
        data = event if isinstance(event, bytes) else event.SerializeToString()
        return Delivered(data=data, headers=headers or {}, subject="llm.v1.usage.recorded.app_1", deliveries=1)

    return make
