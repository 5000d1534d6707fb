from __future__ import annotations

import pytest

from llm_manager.core.errors import BodyTooLarge, BusUnavailable
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.publisher import publish_durable


async def _stored(bus: Bus, subject: str) -> int:
    info = await bus.jetstream.stream_info("USAGE", subjects_filter=subject)
    return (info.state.subjects or {}).get(subject, 0)


async def test_an_event_is_stored_once_however_often_it_is_published(bus: Bus) -> None:
    subject = f"llm.v1.usage.recorded.{uuid7()}"
    message_id = uuid7()
    for _ in range(3):
        await publish_durable(bus, subject, b"event", message_id=message_id, headers={"K": "v"}, deadline_seconds=5)

    message = await bus.jetstream.get_last_msg("USAGE", subject)

    assert await _stored(bus, subject) == 1
    assert message.data == b"event"
    assert message.headers == {"K": "v", "Nats-Msg-Id": message_id}  # pyright: ignore[reportUnknownMemberType]


async def test_an_event_that_no_stream_takes_fails_at_its_deadline(bus: Bus) -> None:
    with pytest.raises(BusUnavailable, match=r"not stored within 0\.2 s"):
        await publish_durable(bus, f"nowhere.{uuid7()}", b"", message_id="1", deadline_seconds=0.2)


async def test_an_event_above_the_limit_is_refused(bus: Bus) -> None:
    with pytest.raises(BodyTooLarge):
        await publish_durable(bus, "llm.v1.event.x", bytes(bus.max_payload), message_id="1", deadline_seconds=5)
