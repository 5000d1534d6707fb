"""HTTP/1.1 on the wire: what clients send in what pieces, and what they get."""

from __future__ import annotations

import asyncio

import pytest
from http_edge import DEADLINE_SECONDS, Client, Edged

UPGRADE = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nContent-Length: 5\r\n\r\n"
)
NEXT = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_wish_for_http2_does_not_lose_the_body(client: Client, edged: Edged) -> None:
    await client.send(UPGRADE + b"hello")
    assert (await client.answer())[::2] == (200, "POST /a hello")


async def test_a_body_behind_a_wish_for_http2_is_never_a_second_request(client: Client, edged: Edged) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = UPGRADE.replace(b"Length: 5", b"Length: %d" % len(smuggled))
    await client.send(head, smuggled, NEXT)
    first, second = await client.answer(), await client.answer()
    assert (first[2], second[2]) == (f"POST /a {smuggled.decode()}", "GET /b ")
    assert len(edged.app.asked) == 2


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_a_wish_for_http2_works_in_pieces_of_any_size(size: int, client: Client) -> None:
    whole = UPGRADE + b"hello" + UPGRADE + b"again" + NEXT
    await client.send(*(whole[at : at + size] for at in range(0, len(whole), size)))
    bodies = [(await client.answer())[2] for _ in range(3)]
    assert bodies == ["POST /a hello", "POST /a again", "GET /b "]


async def test_a_wish_for_http2_with_a_chunked_body_and_close_keeps_both(client: Client) -> None:
    head = UPGRADE.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked").replace(b"Upgrade,", b"Upgrade, close,")
    await client.send(head, b"5\r\nhello\r\n", b"0\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (200, "close", "POST /a hello")
    assert await client.rest() == b""


async def test_connect_is_refused_and_closed(client: Client, edged: Edged) -> None:
    await client.send(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", NEXT)
    status, headers, body = await client.answer()
    assert (status, headers["connection"], '"invalid_request"' in body) == (400, "close", True)
    assert edged.app.asked == []


async def test_pipelined_requests_are_answered_in_order(client: Client, edged: Edged) -> None:
    posts = b"".join(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nb%d" % (n, n) for n in range(9))
    edged.app.release.set()
    await client.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n" + posts)
    assert [(await client.answer())[2] for _ in range(10)] == ["GET /held "] + [f"POST /{n} b{n}" for n in range(9)]


async def test_behind_pipelined_garbage_the_answer_under_way_still_ends(client: Client, edged: Edged) -> None:
    await client.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
    await edged.app.is_holding.wait()
    await client.send(b"\0\0garbage\r\n\r\n")
    edged.app.release.set()
    assert (await client.answer())[2] == "GET /held "
    assert await client.rest() == b""


async def test_garbage_is_a_400_in_our_shape_and_the_end(client: Client) -> None:
    await client.send(b"garbage\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["content-type"], headers["connection"]) == (400, "application/json", "close")
    assert '"code":"invalid_request"' in body
    assert headers["x-request-id"]
    assert await client.rest() == b""


async def test_a_broken_chunk_is_a_400_and_the_end(client: Client, edged: Edged) -> None:
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"xyz\r\n")
    assert (await client.answer())[0] == 400
    assert await client.rest() == b""
    assert edged.app.asked == []


async def test_length_and_chunks_together_are_refused(client: Client, edged: Edged) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head + b"0\r\n\r\n")
    assert (await client.answer())[0] == 400
    assert edged.app.asked == []


async def test_a_header_with_a_line_break_never_reaches_the_wire(client: Client) -> None:
    await client.send(b"GET /injected HTTP/1.1\r\nHost: x\r\n\r\n")
    status, headers, _ = await client.answer()
    assert status == 500
    assert "x-b" not in headers


async def test_chunked_bodies_arrive_whole_wherever_they_are_split(client: Client) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
    for at in range(1, len(chunks)):
        await client.send(head + chunks[:at], chunks[at:])
        assert (await client.answer())[2] == "POST /a hello world"


async def test_100_continue_is_said_when_the_body_is_wanted(client: Client) -> None:
    await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert (await client.line(), await client.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    await client.send(b"hello")
    assert (await client.answer())[2] == "POST /a hello"


async def test_a_refusal_without_100_continue_ends_the_connection(client: Client) -> None:
    await client.send(b"POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["connection"], body) == (200, "close", "refused")
    assert await client.rest() == b""


async def test_a_body_that_nobody_read_is_not_the_next_request(client: Client, edged: Edged) -> None:
    await client.send(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n\r\n")
    assert (await client.answer())[2] == "refused"
    await client.send(NEXT, NEXT)
    assert (await client.answer())[2] == "GET /b "
    assert edged.app.asked == ["GET /b "]


async def test_head_has_the_length_and_no_body(client: Client) -> None:
    await client.send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT)
    status, headers, body = await client.answer(has_body=False)
    assert (status, headers["content-length"], body) == (200, "7", "")
    assert (await client.answer())[2] == "GET /b "


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n", False),
    ],
)
async def test_connections_stay_open_as_the_client_asks(head: bytes, stays: bool, client: Client) -> None:
    await client.send(head)
    _, headers, _ = await client.answer()
    assert headers.get("connection") == (None if stays else "close")
    if stays:
        await client.send(NEXT)
        assert (await client.answer())[2] == "GET /b "
    else:
        assert await client.rest() == b""


async def test_a_client_that_leaves_cancels_the_work(client: Client, edged: Edged) -> None:
    await client.send(b"POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    await edged.app.is_holding.wait()
    client.leave()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await edged.app.cancelled.wait()
        await edged.drain.finished()
    assert edged.app.cancelled.is_set()


async def test_a_path_keeps_its_escapes_apart(client: Client) -> None:
    await client.send(b"GET /a%2Fb%20c?q=%41 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[2] == "GET /a/b c "
