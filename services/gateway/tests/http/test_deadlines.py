"""Connections that say nothing, say half, or do not read."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from http_edge import DEADLINE_SECONDS, Edged, Serve

from llm_manager.gateway.http.connections import ConnectionLimits
from llm_manager.gateway.http.metrics import CONNECTIONS_ENDED

HALF_HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = HALF_HEAD + b"Content-Length: 9\r\n\r\nhalf"
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def _ended(reason: str) -> float:
    return next(
        sample.value
        for sample in next(iter(CONNECTIONS_ENDED.labels(reason).collect())).samples
        if sample.name.endswith("_total")
    )


async def test_headers_that_do_not_end_are_a_408_and_the_end(serve: Serve) -> None:
    async with serve(ConnectionLimits(head_seconds=0.2)) as edged, edged.connect() as client:
        await client.send(GET)
        await client.answer()
        await client.send(HALF_HEAD)
        status, headers, body = await client.answer()
        assert (status, headers["connection"], '"code":"request_timeout"' in body) == (408, "close", True)
        assert await client.rest() == b""


async def test_a_body_that_stops_is_a_408_in_the_shape_of_the_dialect_and_the_end(serve: Serve) -> None:
    async with serve(ConnectionLimits(body_seconds=0.2)) as edged, edged.connect() as client:
        await client.send(HALF_BODY)
        status, headers, body = await client.answer()
        assert (status, headers["connection"], '"code":"request_timeout"' in body) == (408, "close", True)
        assert headers["x-request-id"]
        assert "x-should-retry" not in headers
        assert await client.rest() == b""
        assert edged.app.asked == []


async def test_the_rest_of_a_body_that_nobody_wanted_has_the_same_deadline(serve: Serve) -> None:
    async with serve(ConnectionLimits(body_seconds=0.2)) as edged, edged.connect() as client:
        await client.send(HALF_BODY.replace(b"/a", b"/unread"))
        assert (await client.answer())[2] == "refused"
        assert await client.rest() == b""


async def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    async with serve(ConnectionLimits(idle_seconds=0.2)) as edged, edged.connect() as used, edged.connect() as unused:
        await used.send(GET)
        await used.answer()
        assert (await used.rest(), await unused.rest()) == (b"", b"")


async def test_an_answer_under_way_outlives_every_deadline_of_reading(serve: Serve) -> None:
    limits = ConnectionLimits(head_seconds=0, body_seconds=0, idle_seconds=0)
    async with serve(limits) as edged, edged.connect() as client:
        await client.send(GET.replace(b"/a", b"/held") + HALF_HEAD)
        await edged.app.is_holding.wait()
        edged.connections.sweep(asyncio.get_running_loop().time() + 1000)
        edged.app.release.set()
        assert (await client.answer())[2] == "GET /held "


async def test_endless_headers_are_a_431(serve: Serve) -> None:
    async with serve(ConnectionLimits(head_bytes=1000)) as edged, edged.connect() as client:
        await client.send(HALF_HEAD, b"x-a: ", *([b"y" * 400] * 4))
        assert (await client.answer())[0] == 431
        assert await client.rest() == b""


async def test_one_connection_too_many_is_a_503_and_the_others_stay(serve: Serve) -> None:
    async with serve(ConnectionLimits(most=1)) as edged, edged.connect() as first:
        await first.send(GET)
        await first.answer()
        async with edged.connect() as second:
            status, headers, body = await second.answer()
        assert (status, headers["retry-after"], '"code":"overloaded"' in body) == (503, "1", True)
        await first.send(GET)
        assert (await first.answer())[0] == 200


async def test_a_stream_that_nobody_reads_ends_and_is_counted(serve: Serve) -> None:
    before = _ended("slow_reader")
    async with serve(ConnectionLimits(unread_seconds=0.3)) as edged, edged.connect() as client:
        await client.send(GET.replace(b"/a", b"/endless"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await edged.app.cancelled.wait()
            await edged.drain.finished()
    assert _ended("slow_reader") == before + 1


async def test_when_all_buffers_are_full_the_fullest_connection_is_cut(serve: Serve) -> None:
    before = _ended("buffers_full")
    async with serve(ConnectionLimits(all_unread_bytes=1000)) as edged, edged.connect() as client:
        await client.send(GET.replace(b"/a", b"/endless"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await edged.app.cancelled.wait()
    assert _ended("buffers_full") == before + 1


async def test_a_drain_closes_what_is_idle_or_half_open_at_once(edged: Edged) -> None:
    async with AsyncExitStack() as stack:
        unused, idle, half_head, half_body, whole = [await stack.enter_async_context(edged.connect()) for _ in range(5)]
        await idle.send(GET)
        await idle.answer()
        await half_head.send(HALF_HEAD)
        await half_body.send(HALF_BODY)
        await whole.send(GET.replace(b"/a", b"/held"))
        await edged.app.is_holding.wait()
        edged.drain.begin()
        for client in (unused, idle, half_head):
            assert await client.rest() == b""
        assert b'"code":"draining"' in await half_body.rest()
        edged.app.release.set()
        _, headers, body = await whole.answer()
        assert (headers["connection"], body) == ("close", "GET /held ")
        async with asyncio.timeout(DEADLINE_SECONDS):
            await edged.drain.finished()
