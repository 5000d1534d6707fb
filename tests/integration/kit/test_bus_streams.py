from __future__ import annotations

import pytest
from nats.js import api

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus import streams
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import NatsServer


async def test_every_asset_is_there_and_asking_again_changes_nothing(bus: Bus) -> None:
    await ensure_streams(bus)
    found = {info.config.name: info.config for info in await bus.jetstream.streams_info()}

    assert {"USAGE", "EVENTS", "KV_config", "OBJ_claims"} <= set(found)
    assert found["USAGE"].subjects == ["llm.v1.usage.recorded.>"]
    assert (found["USAGE"].duplicate_window, found["EVENTS"].max_age) == (120.0, 30 * 86_400.0)
    assert found["OBJ_claims"].max_age == 600.0


async def test_an_asset_that_differs_is_updated_by_its_owner_only(bus: Bus) -> None:
    await bus.jetstream.update_stream(  # pyright: ignore[reportUnknownMemberType]  # the library leaves types open
        api.StreamConfig(name="EVENTS", subjects=["llm.v1.event.>"], max_age=60.0, duplicate_window=30.0)
    )

    await ensure_streams(bus)
    assert (await bus.jetstream.stream_info("EVENTS")).config.max_age == 60.0

    await ensure_streams(bus, usage_bytes=streams.USAGE_BYTES)
    assert (await bus.jetstream.stream_info("EVENTS")).config.max_age == 30 * 86_400.0


async def test_only_the_owner_of_the_streams_changes_their_room(bus: Bus) -> None:
    await ensure_streams(bus, usage_bytes=32 * 1024**2)
    await ensure_streams(bus)

    found = {info.config.name: info.config for info in await bus.jetstream.streams_info()}
    assert (found["USAGE"].max_bytes, found["EVENTS"].max_bytes) == (32 * 1024**2, 64 * 1024**2)
    await ensure_streams(bus, usage_bytes=streams.USAGE_BYTES)


async def test_a_full_stream_refuses_new_events_and_drops_no_old_one(mortal_nats_server: NatsServer) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus, usage_bytes=256 * 1024)

        async def publish(number: int) -> None:
            payload = b"x" * 10_000
            await publish_durable(
                bus, "llm.v1.usage.recorded.app", payload, message_id=str(number), deadline_seconds=0.5
            )

        stored, refusal = 0, ""
        while not refusal and stored < 100:
            try:
                await publish(stored)
                stored += 1
            except BusUnavailable as error:
                refusal = str(error)

        assert "maximum bytes exceeded" in refusal
        state = (await bus.jetstream.stream_info("USAGE")).state
        assert (state.messages, state.first_seq) == (stored, 1)
        await bus.jetstream.purge_stream("USAGE", seq=3)
        await publish_durable(bus, "llm.v1.usage.recorded.app", b"x", message_id="again", deadline_seconds=5)


async def test_what_the_server_cannot_do_is_told(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_READY_SECONDS", 0.0)
    with pytest.raises(BusUnavailable, match="USAGE"):
        await ensure_streams(bus, replicas=3)
