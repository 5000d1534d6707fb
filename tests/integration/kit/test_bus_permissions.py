"""Every user of the bus can do its work, and what is not its work is refused by a real server.

What the services themselves need is proven by the tests that run all of them under `llm-manager up`, which has the same
block of configuration.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest
from nats.aio.msg import Msg
from nats.js import api
from structlog.testing import capture_logs

from llm_manager.core.errors import BusUnavailable, StoreUnavailable
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus import kv, streams
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.consumer import Delivered, DurableConsumer
from llm_manager.kit.bus.frame_sink import FrameSink
from llm_manager.kit.bus.names import BUCKET_CONFIG, KEY_PRICE_BOOK, usage_subject
from llm_manager.kit.bus.permissions import PERMISSIONS, authorization
from llm_manager.kit.bus.publisher import publish_durable
from llm_manager.kit.bus.pull import Pull
from llm_manager.kit.bus.refusals import NotPermittedError
from llm_manager.kit.bus.requests import FrameStream, Requester
from llm_manager.kit.bus.responder import IncomingRequest, Responder
from llm_manager.kit.bus.streams import ensure_streams
from llm_manager.testing.nats import NatsServer

SERVICES = ("gateway", "providers", "usage")

# Beside what everybody may not do; for each user the subjects that would be worth most to whoever took it over.
FORBIDDEN_PUBLISH = {
    "gateway": [
        "$JS.API.STREAM.PURGE.USAGE",
        "$JS.API.STREAM.DELETE.USAGE",
        "$JS.API.STREAM.UPDATE.USAGE",
        "$JS.API.STREAM.UPDATE.KV_config",
        "$JS.API.STREAM.MSG.GET.USAGE",
        "$JS.API.CONSUMER.DELETE.USAGE.ledger",
        "$JS.API.CONSUMER.MSG.NEXT.USAGE.ledger",
        "$JS.API.CONSUMER.CREATE.USAGE.mine",
        "$JS.ACK.USAGE.ledger.1.1.1.1.0",
        "$KV.config.price_book",
        "llm.v1.event.other",
        "_INBOX.gateway.x",
        "_INBOX.providers.x",
        "_INBOX.usage.x",
    ],
    "providers": [
        "llm.v1.infer.echo",
        "llm.v1.cancel.other",
        "llm.v1.event.inference.started",
        "$KV.config.price_book",
        "$KV.config.provider.openai",
        "$JS.API.CONSUMER.CREATE.KV_config",
        "$JS.API.CONSUMER.CREATE.KV_config.mine",
        "$JS.API.CONSUMER.CREATE.KV_config.mine.$KV.config.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.KV_config.mine",
        "$JS.API.CONSUMER.NAMES.KV_config",
        "$JS.API.CONSUMER.LIST.KV_config",
        "$JS.API.STREAM.MSG.GET.KV_config",
        "$JS.API.DIRECT.GET.KV_config",
        "$JS.API.DIRECT.GET.KV_config.$KV.config.provider.openai",
        "$JS.API.CONSUMER.CREATE.USAGE.mine",
        "$JS.API.STREAM.PURGE.KV_config",
        "$JS.API.STREAM.PURGE.USAGE",
        "$JS.API.STREAM.UPDATE.OBJ_claims",
        "_INBOX.gateway.x",
        "_INBOX.usage.x",
    ],
    "usage": [
        "llm.v1.infer.echo",
        "llm.v1.cancel.other",
        "llm.v1.event.inference.started",
        "$KV.config.provider.openai",
        "$JS.API.CONSUMER.CREATE.KV_config.mine.$KV.config.>",
        "$JS.API.DIRECT.GET.KV_config.$KV.config.provider.openai",
        "$JS.API.STREAM.PURGE.KV_config",
        "$JS.API.STREAM.DELETE.USAGE",
        "$JS.API.DIRECT.GET.OBJ_claims",
        "$O.claims.M.x",
        "_INBOX.gateway.answers.x",
        "_INBOX.providers.probes.x",
    ],
    "operator": [
        "$KV.config.provider.openai",
        "llm.v1.usage.recorded.app",
        "$JS.API.STREAM.CREATE.USAGE",
        "$JS.API.STREAM.INFO.KV_config",
        "_INBOX.gateway.answers.x",
    ],
}
# What nobody may do.
FORBIDDEN_TO_ALL = [
    "anything",
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.DELETE.KV_config",
    "$JS.API.STREAM.SNAPSHOT.KV_config",
    "$JS.API.STREAM.MSG.DELETE.USAGE",
    "$JS.API.CONSUMER.DELETE.KV_config.x",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.x",
]
FORBIDDEN_SUBSCRIBE = {
    "gateway": ["llm.v1.infer.echo", "llm.v1.usage.recorded.app", "$KV.config.>", "$SRV.PING", "_INBOX.gateway"],
    "providers": [
        "llm.v1.infer.*",
        "llm.v1.infer.echo",
        "llm.v1.usage.recorded.*",
        "$KV.config.>",
        "_INBOX.gateway.answers.>",
        "_INBOX.operator.>",
    ],
    "usage": [
        "llm.v1.infer.*",
        "llm.v1.usage.recorded.>",
        "llm.v1.event.>",
        "$KV.config.>",
        "_INBOX.gateway.answers.*",
    ],
    "operator": ["llm.v1.infer.*", "llm.v1.cancel.*", "_INBOX.gateway.>", "llm.v1.event.>", "$KV.config.>"],
}
FORBIDDEN_SUBSCRIBE_TO_ALL = [">", "*", "_INBOX.>", "_INBOX.*.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$SYS.>", "$O.>"]


async def _read(stream: FrameStream) -> list[bytes]:
    async with stream:
        return [message async for message in stream]


@pytest.fixture(scope="module")
def guarded() -> Generator[NatsServer]:
    with NatsServer(authorization=authorization({user: f"password of {user}" for user in PERMISSIONS})) as server:
        yield server


def as_user(server: NatsServer, user: str) -> AbstractAsyncContextManager[Bus]:
    return connect(server.url, name=user, user=user, token=f"password of {user}")


@asynccontextmanager
async def everybody(server: NatsServer) -> AsyncGenerator[dict[str, Bus]]:
    async with AsyncExitStack() as stack:
        parties = {user: await stack.enter_async_context(as_user(server, user)) for user in PERMISSIONS}
        await ensure_streams(parties["usage"], usage_bytes=streams.USAGE_BYTES)
        yield parties


@asynccontextmanager
async def hearing_refusals(bus: Bus) -> AsyncGenerator[list[str]]:
    """What the server has refused to a user when the body was over."""
    refused: list[str] = []
    with capture_logs() as logs:
        yield refused
        await bus.client.flush()
    refused += [entry["subject"] for entry in logs if entry["event"] == "bus_not_permitted"]


@pytest.mark.parametrize("user", PERMISSIONS)
async def test_what_is_not_a_users_work_is_refused(guarded: NatsServer, user: str) -> None:
    subjects = FORBIDDEN_PUBLISH[user] + FORBIDDEN_TO_ALL
    async with everybody(guarded) as parties, hearing_refusals(parties[user]) as refused:
        for subject in subjects:
            parties[user].send(subject, b"{}")
    assert refused == subjects


@pytest.mark.parametrize("user", PERMISSIONS)
async def test_what_a_user_need_not_hear_it_cannot_listen_to(guarded: NatsServer, user: str) -> None:
    async def ignore(message: Msg) -> None: ...

    subjects = FORBIDDEN_SUBSCRIBE[user] + FORBIDDEN_SUBSCRIBE_TO_ALL
    async with everybody(guarded) as parties, hearing_refusals(parties[user]) as refused:
        for subject in subjects:
            await parties[user].subscribe(subject, ignore)
    assert refused == subjects


async def test_requests_are_heard_in_the_queue_group_of_workers_only(guarded: NatsServer) -> None:
    async with as_user(guarded, "providers") as worker, hearing_refusals(worker) as refused:
        await worker.listen("llm.v1.infer.echo", lambda _: None, queue="providers")
        await worker.listen("llm.v1.infer.echo", lambda _: None, queue="spies")
    assert refused == ["llm.v1.infer.echo"]


async def test_nobody_comes_in_without_a_user_and_its_password(guarded: NatsServer) -> None:
    for user, token in (("", None), ("", "password of gateway"), ("gateway", "password of usage"), ("gateway", None)):
        with pytest.raises(BusUnavailable, match="refused the"):
            async with connect(guarded.url, name="test", user=user, token=token):
                pass


@pytest.mark.parametrize("first", SERVICES)
async def test_whoever_starts_first_makes_the_assets(first: str) -> None:
    with NatsServer(authorization=authorization({user: f"password of {user}" for user in PERMISSIONS})) as server:
        async with AsyncExitStack() as stack:
            for user in (first, *(user for user in SERVICES if user != first)):
                bus = await stack.enter_async_context(as_user(server, user))
                await ensure_streams(bus, usage_bytes=32 * 1024**2 if user == "usage" else None)
            usage = await stack.enter_async_context(as_user(server, "usage"))
            assert (await usage.jetstream.stream_info("USAGE")).config.max_bytes == 32 * 1024**2


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_request_is_answered_whatever_its_size_and_its_cost_reaches_the_ledger(
    guarded: NatsServer, size: int
) -> None:
    stored: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def store(batch: Sequence[Delivered]) -> None:
        for event in batch:
            if event.data == f"event {size}".encode() and not stored.done():
                stored.set_result(event.data)

    async with everybody(guarded) as parties:
        worker, gateway, usage = parties["providers"], parties["gateway"], parties["usage"]

        async def answer(request: IncomingRequest, sink: FrameSink) -> bytes:
            await publish_durable(
                worker, usage_subject("app"), f"event {size}".encode(), message_id=uuid7(), deadline_seconds=5
            )
            await sink.send(request.payload)
            return b"done"

        with capture_logs() as logs:
            async with (
                Responder(
                    worker,
                    worker_id="w1",
                    queue="providers",
                    subjects=["llm.v1.infer.k"],
                    handler=answer,
                    max_in_flight=5,
                ),
                Requester(gateway) as requester,
                DurableConsumer(
                    usage, stream="USAGE", durable="ledger", handler=store, max_batch=9, max_wait_seconds=0.1
                ),
            ):
                async with requester.stream(
                    "llm.v1.infer.k", b"x" * size, request_id="r", deadline_seconds=10
                ) as stream:
                    assert [len(message) async for message in stream] == [size]
                async with asyncio.timeout(5):
                    await stored
        assert [entry for entry in logs if entry["event"] == "bus_not_permitted"] == []


async def test_a_reader_that_is_gone_is_told_to_its_worker(guarded: NatsServer) -> None:
    """Both ways of it: the caller answers a probe, and the server does when the caller's process has ended."""
    reasons: asyncio.Queue[str | None] = asyncio.Queue()
    begun = asyncio.Semaphore(0)

    async def answer(request: IncomingRequest, sink: FrameSink) -> bytes:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            reasons.put_nowait(request.cancel_reason)
        return b""

    async with (
        as_user(guarded, "providers") as worker,
        Responder(
            worker, worker_id="w2", queue="providers", subjects=["llm.v1.infer.k2"], handler=answer, max_in_flight=5
        ),
        as_user(guarded, "gateway") as gateway,
        Requester(gateway) as requester,
        asyncio.timeout(10),
    ):
        async with requester.stream("llm.v1.infer.k2", b"", request_id="r", deadline_seconds=20) as stream:
            await begun.acquire()
            while not stream.worker_id:  # noqa: ASYNC110 # what the reader has heard has no event
                await asyncio.sleep(0.01)
            assert stream.worker_id == "w2"
        assert await reasons.get() == "client_disconnected"
        lasting = requester.stream("llm.v1.infer.k2", b"", request_id="r", deadline_seconds=20)
        await lasting.__aenter__()
        await begun.acquire()
        requester._streams.clear()  # pyright: ignore[reportPrivateUsage]  # as if it had lost it
        assert await reasons.get() == "requester_gone"


async def test_the_catalogue_reaches_gateways_and_the_price_book_everybody_who_reads_it(guarded: NatsServer) -> None:
    seen: dict[str, set[str]] = {"gateway": set(), "providers": set()}
    async with everybody(guarded) as parties:
        gateway, worker = parties["gateway"], parties["providers"]
        await kv.put(gateway, BUCKET_CONFIG, "provider.openai", b"sealed")
        await kv.put(parties["usage"], BUCKET_CONFIG, KEY_PRICE_BOOK, b"prices")
        bucket = await parties["usage"].jetstream.key_value(BUCKET_CONFIG)
        assert (await bucket.get(KEY_PRICE_BOOK)).value == b"prices"
        async with (
            kv.watch(gateway, BUCKET_CONFIG, lambda key, _: seen["gateway"].add(key)),
            kv.watch(worker, BUCKET_CONFIG, lambda key, _: seen["providers"].add(key), keys=KEY_PRICE_BOOK),
        ):
            await kv.delete(gateway, BUCKET_CONFIG, "provider.openai")
        assert seen == {"gateway": {"provider.openai", "price_book"}, "providers": {"price_book"}}


async def test_a_worker_cannot_follow_other_keys_under_the_name_of_the_price_book(guarded: NatsServer) -> None:
    async with everybody(guarded) as parties:
        subject = "$JS.API.CONSUMER.CREATE.KV_config.mine.$KV.config.price_book"
        config = api.ConsumerConfig(name="mine", filter_subject="$KV.config.>").as_dict()
        request = {"stream_name": "KV_config", "config": config}
        answer = await parties["providers"].client.request(subject, json.dumps(request).encode(), 2)
        assert b'"error"' in answer.data


async def test_an_operator_finds_workers_and_asks_them(guarded: NatsServer) -> None:
    async def answer(request: IncomingRequest, sink: FrameSink) -> bytes:
        return request.payload

    async with everybody(guarded) as parties:
        operator = parties["operator"]
        async with (
            Responder(
                parties["providers"],
                worker_id="w3",
                queue="providers",
                subjects=["llm.v1.infer.k3"],
                handler=answer,
                max_in_flight=5,
            ),
            Requester(operator) as requester,
        ):
            assert b"w3" in (await operator.client.request("$SRV.PING", b"", 2)).data
            async with requester.stream("llm.v1.infer.k3", b"x", request_id="r", deadline_seconds=5) as stream:
                assert [message async for message in stream] == []


async def test_whoever_waits_for_what_is_refused_is_told_at_once(guarded: NatsServer) -> None:
    async with everybody(guarded) as parties, asyncio.timeout(3):
        usage, worker = parties["usage"], parties["providers"]
        with pytest.raises(NotPermittedError, match=r"\$JS\.API\.STREAM\.PURGE\.USAGE"):
            await worker.jetstream.purge_stream("USAGE")
        with pytest.raises(BusUnavailable, match="may not publish"):
            await kv.put(worker, BUCKET_CONFIG, KEY_PRICE_BOOK, b"free")
        with pytest.raises(BusUnavailable, match="may not publish"):
            await publish_durable(worker, "llm.v1.event.x", b"", message_id="1", deadline_seconds=20)
        with pytest.raises(StoreUnavailable, match="may not publish"):
            await ClaimStore(usage).deposit(b"x")
        async with Requester(usage) as requester:
            stream = requester.stream("llm.v1.infer.echo", b"", request_id="r", deadline_seconds=20)
            with pytest.raises(BusUnavailable, match="may not publish"):
                await _read(stream)
        pull = Pull(worker, stream="USAGE", durable="ledger")
        await pull.open()
        with pytest.raises(Exception, match="may not publish"):
            await pull.batch(1, 1.0)
        await pull.close()


async def test_a_user_without_inboxes_is_told_at_the_start() -> None:
    block = 'authorization { users = [{ user: "x", password: "p", permissions { subscribe = ["_INBOX.y.>"] } }] }'
    message = r"does not let this user subscribe to '_INBOX\.x\."
    with NatsServer(authorization=block) as server, pytest.raises(BusUnavailable, match=message):
        async with connect(server.url, name="x", user="x", token="p"):
            pass
