from __future__ import annotations

import asyncio

import pytest
from nats.aio.msg import Msg

from llm_manager.core.errors import BodyTooLarge, BusUnavailable
from llm_manager.kit.bus import connection
from llm_manager.kit.bus.connection import Bus, BusState, connect
from llm_manager.testing.nats import NatsServer


async def test_a_message_reaches_its_subscriber_with_headers(bus: Bus) -> None:
    received: asyncio.Queue[tuple[bytes, object]] = asyncio.Queue(1)

    async def on_message(message: Msg) -> None:
        received.put_nowait((message.data, message.headers))

    subject = bus.client.new_inbox()
    await bus.subscribe(subject, on_message)
    await bus.publish(subject, b"data", headers={"Key": "värde"})

    assert await received.get() == (b"data", {"Key": "värde"})
    assert bus.state is BusState.CONNECTED


async def test_a_message_above_the_limit_is_refused_and_the_connection_lives(bus: Bus) -> None:
    with pytest.raises(BodyTooLarge):
        await bus.publish("test.large", bytes(bus.max_payload + 1))
    with pytest.raises(BodyTooLarge):
        await bus.publish("test.large", bytes(bus.max_payload), headers={"A": "b"})
    await bus.publish("test.large", bytes(bus.max_payload))
    await bus.client.flush()
    assert bus.state is BusState.CONNECTED


async def test_what_was_published_last_leaves_before_the_connection_closes(nats_server: NatsServer, bus: Bus) -> None:
    received = asyncio.Event()

    async def on_message(_: Msg) -> None:
        received.set()

    subject = bus.client.new_inbox()
    await bus.subscribe(subject, on_message)
    await bus.client.flush()
    async with connect(nats_server.url, name="short") as other:
        await other.publish(subject, b"bye")

    async with asyncio.timeout(2):
        await received.wait()
    assert other.state is BusState.CLOSED
    with pytest.raises(BusUnavailable, match="closed"):
        await other.publish(subject, b"too late")
    assert not await other.wait_connected(1)


async def test_without_a_server_the_error_names_the_address_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_CONNECT_SECONDS", 0.2)
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1 did not answer") as caught:
        async with connect("nats://s3cret@127.0.0.1:1,127.0.0.1:1", name="test"):
            pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nats://", "nats://host:port", "a:4222,,b:4222"])
async def test_an_address_that_is_none_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(BusUnavailable, match="NATS_URL is not an address"):
        async with connect(url, name="test"):
            pass


async def test_a_wrong_token_is_told_at_once() -> None:
    with NatsServer(token="right") as server:
        async with connect(server.url, name="test", token="right") as bus:
            assert bus.state is BusState.CONNECTED
        with pytest.raises(BusUnavailable, match="refused the token"):
            async with connect(server.url, name="test", token="wrong"):
                pass


async def test_a_connection_that_the_server_ends_for_good_is_reported(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    async with connect(nats_server.url, name="test", on_lost=lost.set_result) as bus:
        # or our own guard would refuse it
        monkeypatch.setattr(bus.client, "_max_payload", bus.max_payload + 1)
        await bus.client.publish("test.large", bytes(bus.max_payload))
        async with asyncio.timeout(2):
            error = await lost
    assert "maximum payload" in str(error).lower()


async def test_a_flush_returns_after_the_server_knows_a_subscription(nats_server: NatsServer, bus: Bus) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(b"here")

    async with connect(nats_server.url, name="other") as other:
        for _ in range(200):
            subject = bus.client.new_inbox()
            subscription = await other.subscribe(subject, answer)
            await other.client.flush()
            assert (await bus.client.request(subject, timeout=2)).data == b"here"
            await subscription.unsubscribe()


async def test_a_drained_subscription_has_answered_all_that_the_server_sent_it(
    nats_server: NatsServer, bus: Bus
) -> None:
    answered: list[bytes] = []

    async def keep(message: Msg) -> None:
        answered.append(message.data)

    inbox = bus.client.new_inbox()
    replies = await bus.subscribe(inbox, keep)

    async def answer(message: Msg) -> None:
        await message.respond(b"here")

    async with connect(nats_server.url, name="other") as other:
        for _ in range(100):
            subject = bus.client.new_inbox()
            subscription = await other.subscribe(subject, answer)
            await other.client.flush()
            # this one is with the subscription's client before the drain begins, so it is always answered
            await bus.publish(subject, b"", reply=inbox)
            await bus.client.flush()
            async with asyncio.TaskGroup() as group:
                group.create_task(subscription.drain())
                for _ in range(5):
                    # Either the subscription answers, or the server says that nobody is there.
                    await bus.publish(subject, b"", reply=inbox)
                    await asyncio.sleep(0)
        await other.client.flush()
    async with asyncio.timeout(2):
        while len(answered) < 600:
            await bus.client.flush()
    await replies.unsubscribe()
    assert answered.count(b"here") >= 100
    assert set(answered) <= {b"here", b""}
