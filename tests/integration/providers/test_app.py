from __future__ import annotations

import asyncio
import base64

import pytest
from nats.aio.msg import Msg

from llm_manager.contracts.inference.v1.chat_pb2 import ROLE_USER, ChatInput, Message, Part
from llm_manager.contracts.inference.v1.infer_pb2 import Attribution, Done, InferRequest, Target
from llm_manager.contracts.usage.v1 import event_pb2 as event_types
from llm_manager.core.errors import NoWorker, UpstreamUnreachable, WorkerLost
from llm_manager.core.facts import load_facts
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.kv import put
from llm_manager.kit.bus.names import BUCKET_CONFIG, infer_subject
from llm_manager.kit.bus.requests import Requester
from llm_manager.kit.ops import Ops
from llm_manager.kit.secrets import key_id_of
from llm_manager.kit.settings import SettingsError, load
from llm_manager.providers.app import lifespan, new_worker_id
from llm_manager.providers.settings import ProvidersSettings
from llm_manager.testing.bus_parties import until
from llm_manager.testing.master_key import MASTER_KEY, MASTER_KEY_TEXT
from llm_manager.testing.nats import NatsServer
from llm_manager.testing.upstream import FakeUpstream, Pause, Script, chunk, completion, sse

PREFIX = "LLM_MANAGER_PROVIDERS_"
KEY = MASTER_KEY_TEXT
BOOK = b'{"version":"v1","prices":[]}'


def settings_for(server: NatsServer, kinds: str, **more: str) -> ProvidersSettings:
    return load(
        ProvidersSettings,
        {f"{PREFIX}NATS_URL": server.url, f"{PREFIX}MASTER_KEY": KEY, f"{PREFIX}KINDS": kinds, **more},
    )


def request(kind: str, *, base_url: str = "") -> InferRequest:
    return InferRequest(
        attribution=Attribution(request_id=uuid7(), attempt_id=uuid7(), attempt=1, app_id="app"),
        target=Target(provider=kind, kind=kind, base_url=base_url, upstream_model="echo", is_trusted=True),
        chat=ChatInput(messages=[Message(role=ROLE_USER, parts=[Part(text="hi")])]),
        is_stream=True,
        timeout_ms=10_000,
    )


async def ask(requester: Requester, asked: InferRequest) -> Done:
    async with requester.stream(
        infer_subject(asked.target.kind),
        asked.SerializeToString(),
        request_id=asked.attribution.request_id,
        deadline_seconds=10,
    ) as frames:
        async for _ in frames:
            pass
        return Done.FromString(frames.done)


async def test_worker_serves_the_kinds_it_was_told_and_is_ready_with_a_price_book(
    bus: Bus, nats_server: NatsServer
) -> None:
    ops = Ops()
    async with Requester(bus) as requester, lifespan(settings_for(nats_server, "echo, deepseek"), ops):
        ops.entered()
        done = await ask(requester, request("echo"))
        with pytest.raises(NoWorker):
            await ask(requester, request("mistral"))
        await put(bus, BUCKET_CONFIG, "price_book", BOOK)
        await until(lambda: ops.is_ready)

    assert done.event.state == event_types.ATTEMPT_STATE_OK
    assert done.event.usage.output_text == 3


async def test_worker_that_drains_ends_what_is_in_flight_and_records_it(
    bus: Bus, nats_server: NatsServer, upstream: FakeUpstream
) -> None:
    events: list[event_types.UsageRecorded] = []

    async def on_event(message: Msg) -> None:
        events.append(event_types.UsageRecorded.FromString(message.data))

    subscription = await bus.subscribe("llm.v1.usage.recorded.app", on_event)
    upstream.script = Script(steps=[*sse(chunk("Hello")), Pause()])
    settings = settings_for(nats_server, "custom", **{f"{PREFIX}DRAIN_SECONDS": "5.1"})
    async with Requester(bus) as requester:
        async with lifespan(settings, Ops()):
            asking = asyncio.create_task(ask(requester, request("custom", base_url=upstream.base_url)))
            await upstream.wait_for_requests()
        with pytest.raises(WorkerLost):
            await asking
    await until(lambda: bool(events))
    await subscription.unsubscribe()

    assert [event.error_code for event in events] == ["worker_lost"]
    assert events[0].state == event_types.ATTEMPT_STATE_ERROR


@pytest.mark.requirement("P-14")
@pytest.mark.parametrize("allowed", ["", "127.0.0.0/8"])
async def test_private_networks_are_open_to_base_urls_of_others_where_the_setting_says_so(
    bus: Bus, nats_server: NatsServer, upstream: FakeUpstream, allowed: str
) -> None:
    upstream.script = completion("Hello", usage=None)
    asked = request("custom", base_url=upstream.base_url)
    asked.target.is_trusted, asked.is_stream = False, False
    settings = settings_for(nats_server, "custom", **{f"{PREFIX}PRIVATE_NETWORKS": allowed})
    async with Requester(bus) as requester, lifespan(settings, Ops()):
        if allowed:
            assert (await ask(requester, asked)).event.state == event_types.ATTEMPT_STATE_OK
        else:
            with pytest.raises(UpstreamUnreachable, match=f"{PREFIX}PRIVATE_NETWORKS"):
                await ask(requester, asked)

    assert upstream.connections == (1 if allowed else 0)


@pytest.mark.parametrize("value", ["office", "10.0.0.1/8", "10.0.0.0/8 fd00::/8"])
def test_private_networks_that_are_none_stop_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{PREFIX}PRIVATE_NETWORKS is wrong: .*'{value}'"):
        load(ProvidersSettings, {f"{PREFIX}MASTER_KEY": KEY, f"{PREFIX}PRIVATE_NETWORKS": value})


def test_worker_id_is_one_token_of_a_subject() -> None:
    first, second = new_worker_id(), new_worker_id()

    assert first != second
    assert not set(first) & set(" .*>")


def test_all_means_every_kind() -> None:
    settings = load(ProvidersSettings, {f"{PREFIX}MASTER_KEY": KEY})

    assert list(settings.chosen(load_facts())) == list(load_facts())
    assert settings.secret_box().key_ids == {key_id_of(MASTER_KEY)}
    assert KEY not in repr(settings)


def test_unknown_kind_stops_the_start_and_names_the_known_ones() -> None:
    settings = load(ProvidersSettings, {f"{PREFIX}MASTER_KEY": KEY, f"{PREFIX}KINDS": "openai,opnai"})

    with pytest.raises(SettingsError, match=r"unknown opnai; known are anthropic, azure, cerebras, cohere, custom"):
        settings.chosen(load_facts())


@pytest.mark.parametrize("key", ["", "short", "!" * 43, base64.urlsafe_b64encode(b"x" * 31).decode()])
def test_wrong_master_key_stops_the_start_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match="MASTER_KEY") as raised:
        load(ProvidersSettings, {f"{PREFIX}MASTER_KEY": key})

    assert not key or key not in str(raised.value)
