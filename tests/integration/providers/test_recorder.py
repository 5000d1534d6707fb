from __future__ import annotations

import asyncio

import pytest
from nats.js.api import StreamInfo
from structlog.testing import capture_logs

from llm_manager.contracts.usage.v1.event_pb2 import UsageRecorded
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.names import STREAM_USAGE, usage_subject
from llm_manager.kit.bus.permissions import authorization
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.providers import recorder as recorder_module
from llm_manager.providers.recorder import Recorder
from llm_manager.testing.bus_parties import until
from llm_manager.testing.nats import NatsServer


async def stored(bus: Bus) -> int:
    info: StreamInfo = await bus.jetstream.stream_info(STREAM_USAGE)
    return info.state.messages


async def test_event_is_stored_once_however_often_it_is_recorded(bus: Bus) -> None:
    event = UsageRecorded(event_id=uuid7(), app_id="app")
    before = await stored(bus)
    async with Recorder(bus) as recorder:
        await recorder.record(event)
        await recorder.record(event)

    assert await stored(bus) == before + 1


async def test_event_of_an_outage_is_stored_when_the_bus_is_back(
    mortal_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_DEADLINE_SECONDS", 0.1)
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        async with Recorder(bus) as recorder:
            mortal_nats_server.kill()
            await recorder.record(UsageRecorded(event_id=uuid7(), app_id="app"))
            assert recorder.waiting == 1
            mortal_nats_server.restart()
            await until(lambda: not recorder.waiting, 10)
        assert await stored(bus) == 1


async def test_event_whose_recording_is_cut_off_is_stored_all_the_same(mortal_nats_server: NatsServer) -> None:
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        async with Recorder(bus) as recorder:
            mortal_nats_server.kill()
            recording = asyncio.create_task(recorder.record(UsageRecorded(event_id=uuid7(), app_id="app")))
            await asyncio.sleep(0.05)
            recording.cancel()
            await asyncio.wait({recording})
            assert (recording.cancelled(), recorder.waiting) == (True, 1)
            mortal_nats_server.restart()
            await until(lambda: not recorder.waiting, 10)
        assert await stored(bus) == 1


async def test_event_that_waits_is_tried_once_more_at_the_end(
    mortal_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr(recorder_module, "_LAST_TRY_SECONDS", 0.2)
    async with connect(mortal_nats_server.url, name="test") as bus:
        await ensure_streams(bus)
        mortal_nats_server.kill()
        async with Recorder(bus) as recorder:
            await recorder.record(UsageRecorded(event_id=uuid7(), app_id="app"))

    assert recorder.waiting == 1


async def test_event_that_the_bus_refuses_is_kept_at_once_and_tried_without_haste(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "_LAST_TRY_SECONDS", 0.2)
    # a user that may publish no usage events
    with NatsServer(authorization=authorization({"operator": "p"})) as server, capture_logs() as logs:
        async with connect(server.url, name="test", user="operator", token="p") as bus, Recorder(bus) as recorder:
            async with asyncio.timeout(0.5):
                await recorder.record(UsageRecorded(event_id=uuid7(), app_id="app"))
            await asyncio.sleep(1.2)
            assert (recorder.waiting, recorder.why_not() is None) == (1, False)
    refused = [entry["subject"] for entry in logs if entry["event"] == "bus_not_permitted"]
    assert set(refused) == {usage_subject("app")}
    assert 3 <= len(refused) <= 6


@pytest.mark.parametrize(("app", "token"), [("app-1", "app-1"), ("a b.c>*", "a_b_c__"), ("", "none")])
def test_app_is_one_token_of_the_subject(app: str, token: str) -> None:
    assert usage_subject(app) == f"llm.v1.usage.recorded.{token}"
