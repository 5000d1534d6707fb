"""A stream gets through a proxy that buffers unless it is told not to: nginx as it comes."""

from __future__ import annotations

import http.client
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from bench import bodies, subjects
from bench.client import Target
from bench.upstream import STAMP
from nginx_proxy import NginxProxy, nginx_before

from llm_manager.testing.stack import Stack, running_stack

MOST_SECONDS = 0.2
TRIES = 5
# between the first chunk and the second: far above what a first chunk may take
PAUSE_MS = 1000


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """What was seen of a stream when its first text came; times in seconds behind the request."""

    headers: dict[str, str]
    came_after: float
    ended_after: float


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with ExitStack() as exits:
        origin = exits.enter_context(subjects.upstream())
        environment = {"OPENAI_API_KEY": "sk-mock-upstream", "OPENAI_BASE_URL": f"{origin}/v1"}
        yield exits.enter_context(running_stack(tmp_path_factory.mktemp("stack"), environment=environment))


@pytest.fixture(scope="module")
def nginx(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxProxy]:
    folder: Path = tmp_path_factory.mktemp("nginx")
    with nginx_before(stack.origin, folder) as running:
        yield running


def _first_chunk(origin: str, stack: Stack) -> FirstChunk:
    """Stream two chunks with a pause between them."""
    target = Target(f"{origin}/v1", {}, f"openai/{subjects.MODEL}")
    body = bodies.stream(target, chunks=1, pause_ms=PAUSE_MS)(0).partition(b"\r\n\r\n")[2]
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=20)
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {stack.api_key}",
        "accept-encoding": "gzip",
    }
    try:
        asked_at = time.monotonic()
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        is_packed = answer.headers["content-encoding"] == "gzip"
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16)
        seen, came_at = b"", 0.0
        while data := answer.read1(65536):
            seen += unpacked.decompress(data) if is_packed else data
            if not came_at and STAMP.search(seen):
                came_at = time.monotonic()
        ended_at = time.monotonic()
    finally:
        connection.close()
    assert (answer.status, len(STAMP.findall(seen))) == (200, 2), seen
    assert seen.endswith(b"data: [DONE]\n\n")
    return FirstChunk({k.lower(): v for k, v in answer.getheaders()}, came_at - asked_at, ended_at - asked_at)


@pytest.mark.requirement("S81")
@pytest.mark.parametrize("server", ["plain", "packing"])
def test_first_chunk_comes_through_nginx_at_once_while_the_stream_is_open(
    stack: Stack, nginx: NginxProxy, server: Literal["plain", "packing"], record_property: Callable[[str, object], None]
) -> None:
    origin = nginx.plain if server == "plain" else nginx.packing
    # once for what is slow once: the connections, the route
    tries = [_first_chunk(origin, stack) for _ in range(1 + TRIES)][1:]
    median = statistics.median(one.came_after for one in tries)
    record_property(
        "figures", f"first chunk through nginx ({server}): median {median * 1000:.1f} ms of {TRIES} streams"
    )

    assert median < MOST_SECONDS
    for one in tries:
        assert one.ended_after - one.came_after > PAUSE_MS / 1000 * 0.8, "the stream was over when its first text came"
        assert one.headers["cache-control"] == "no-cache"
        assert one.headers["server"].startswith("nginx/"), "nobody was between"
        assert one.headers.get("content-encoding") == ("gzip" if server == "packing" else None)
        assert "x-accel-buffering" not in one.headers, "nginx keeps the header that it heeds to itself"


@pytest.mark.requirement("S81")
def test_nginx_that_does_not_heed_the_header_holds_the_first_chunk_back(stack: Stack, nginx: NginxProxy) -> None:
    held = _first_chunk(nginx.deaf, stack)
    assert held.came_after > PAUSE_MS / 1000 * 0.8


@pytest.mark.requirement("S81")
def test_stream_says_that_nobody_may_keep_it(stack: Stack) -> None:
    said = _first_chunk(stack.origin, stack).headers
    assert (said["cache-control"], said["x-accel-buffering"]) == ("no-cache", "no")
