from __future__ import annotations

import os

import pytest
from nats.js.errors import ObjectNotFoundError

from llm_manager.core.errors import BodyTooLarge, InternalError, LlmManagerError, StoreUnavailable
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.claim_check import MAX_CLAIM_BYTES, ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.requests import Requester
from llm_manager.kit.bus.responder import FrameSink, Handler, IncomingRequest, Responder

THREE_MEGABYTES = os.urandom(3_000_000)


async def _exchange(bus: Bus, handler: Handler, payload: bytes) -> list[bytes]:
    subject = f"llm.v1.infer.kind-{uuid7()}"
    async with (
        Responder(bus, worker_id=uuid7(), queue="providers", subjects=[subject], handler=handler, max_in_flight=10),
        Requester(bus) as requester,
        requester.stream(subject, payload, request_id="r", deadline_seconds=20) as stream,
    ):
        return [*[message async for message in stream], stream.done]


async def _claims_left(bus: Bus) -> int:
    store = await bus.jetstream.object_store("claims")
    info = await bus.jetstream.stream_info("OBJ_claims", subjects_filter="$O.claims.C.>")
    assert store is not None
    return len(info.state.subjects or {})


async def test_large_requests_messages_and_results_travel_like_small_ones(bus: Bus) -> None:
    before = await _claims_left(bus)

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        await sink.send(b"small before")
        await sink.send(request.payload[::-1])
        await sink.send(b"small after")
        return request.payload

    answer = await _exchange(bus, handler, THREE_MEGABYTES)

    assert answer == [b"small before", THREE_MEGABYTES[::-1], b"small after", THREE_MEGABYTES]
    assert await _claims_left(bus) == before


async def test_what_came_before_a_large_message_is_neither_held_up_nor_lost_with_it(bus: Bus) -> None:
    subject = f"llm.v1.infer.kind-{uuid7()}"

    async def handler(_: IncomingRequest, sink: FrameSink) -> bytes:
        await sink.send(b"one")
        await sink.send(b"two")
        await sink.send(THREE_MEGABYTES)
        return b"end"

    async with (
        Responder(bus, worker_id=uuid7(), queue="providers", subjects=[subject], handler=handler, max_in_flight=10),
        Requester(bus) as requester,
        requester.stream(subject, b"", request_id="r", deadline_seconds=20) as stream,
    ):
        batches: list[list[bytes]] = []
        while messages := await stream.arrived():
            batches.append(messages)
        assert stream.done == b"end"
    assert batches[-1] == [THREE_MEGABYTES]
    assert [message for batch in batches[:-1] for message in batch] == [b"one", b"two"]


async def test_the_large_detail_of_a_failure_travels_too(bus: Bus) -> None:
    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        error = InternalError("failed")
        error.detail = THREE_MEGABYTES
        raise error

    with pytest.raises(InternalError, match="failed") as caught:
        await _exchange(bus, handler, b"")
    assert caught.value.detail == THREE_MEGABYTES


@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["below", "at", "above"])
async def test_payloads_around_the_limit_of_a_message_arrive(bus: Bus, offset: int) -> None:
    payload = b"x" * (ClaimStore(bus).inline_limit + offset)

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        return request.payload

    assert await _exchange(bus, handler, payload) == [payload]


async def test_what_is_above_the_limit_of_the_bus_is_refused_on_both_sides(bus: Bus) -> None:
    too_large = bytes(MAX_CLAIM_BYTES + 1)
    seen: list[LlmManagerError] = []

    async def handler(request: IncomingRequest, sink: FrameSink) -> bytes:
        try:
            await sink.send(too_large)
        except BodyTooLarge as error:
            seen.append(error)
        return too_large

    with pytest.raises(BodyTooLarge):
        await _exchange(bus, handler, too_large)
    with pytest.raises(BodyTooLarge):
        await _exchange(bus, handler, b"")
    assert [error.code for error in seen] == ["request_too_large"]


async def test_a_claim_can_be_redeemed_once(bus: Bus) -> None:
    claims = ClaimStore(bus)
    name = await claims.deposit(THREE_MEGABYTES)
    assert await claims.redeem(name) == THREE_MEGABYTES
    with pytest.raises(StoreUnavailable):
        await claims.redeem(name)


@pytest.mark.requirement("L-21")
async def test_the_server_is_never_handed_more_of_a_claim_at_once_than_it_may_keep(bus: Bus) -> None:
    """It keeps the buffers of messages that it delivered: 1,000 of 1 MB were 1.5 GB."""
    name = await ClaimStore(bus).deposit(THREE_MEGABYTES)
    first = (await bus.jetstream.stream_info("OBJ_claims")).state.first_seq
    sizes: list[int] = []
    while sum(sizes) < len(THREE_MEGABYTES):
        chunk = await bus.jetstream.get_msg("OBJ_claims", seq=first, subject="$O.claims.C.>", direct=True, next=True)
        first = (chunk.seq or 0) + 1
        sizes.append(len(chunk.data or b""))
    assert max(sizes) == 64 * 1024
    assert await ClaimStore(bus).redeem(name) == THREE_MEGABYTES


async def test_a_damaged_claim_is_noticed(bus: Bus) -> None:
    claims = ClaimStore(bus)
    name = await claims.deposit(THREE_MEGABYTES)
    store = await bus.jetstream.object_store("claims")
    info = await store.get_info(name)
    await bus.jetstream.publish(f"$O.claims.C.{info.nuid}", b"extra")
    chunk = await bus.jetstream.get_msg("OBJ_claims", seq=1, subject=f"$O.claims.C.{info.nuid}", direct=True, next=True)
    assert chunk.seq is not None
    await bus.jetstream.delete_msg("OBJ_claims", chunk.seq)

    with pytest.raises(StoreUnavailable, match="digest"):
        await claims.redeem(name)
    await store.delete(name)
    with pytest.raises(ObjectNotFoundError):
        await store.get_info(name)
