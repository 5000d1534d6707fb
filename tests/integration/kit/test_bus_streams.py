from __future__ import annotations

import pytest
from nats.js import api

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus import streams
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.streams import ensure_streams


async def test_every_asset_is_there_and_asking_again_changes_nothing(bus: Bus) -> None:
    await ensure_streams(bus)
    found = {info.config.name: info.config for info in await bus.jetstream.streams_info()}

    assert {"USAGE", "EVENTS", "KV_config", "OBJ_claims"} <= set(found)
    assert found["USAGE"].subjects == ["llm.v1.usage.recorded.>"]
    assert (found["USAGE"].duplicate_window, found["EVENTS"].max_age) == (600.0, 7 * 86_400.0)
    assert found["OBJ_claims"].max_age == 600.0


async def test_an_asset_that_differs_is_updated(bus: Bus) -> None:
    await bus.jetstream.update_stream(  # pyright: ignore[reportUnknownMemberType]  # the library leaves types open
        api.StreamConfig(name="EVENTS", subjects=["llm.v1.event.>"], max_age=60.0, duplicate_window=30.0)
    )

    await ensure_streams(bus)

    assert (await bus.jetstream.stream_info("EVENTS")).config.max_age == 7 * 86_400.0


async def test_what_the_server_cannot_do_is_told(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_READY_SECONDS", 0.0)
    with pytest.raises(BusUnavailable, match="USAGE"):
        await ensure_streams(bus, replicas=3)
