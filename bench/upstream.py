"""The mock upstream of every comparison: as fast as Python can be, and ordered about by the text of the prompt.

A prompt may hold `bench:<chunks>:<milliseconds between chunks>:<id>`. Each chunk tells when it was written, so that who
reads it behind a proxy knows the delay. Run as a program it prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import httptools
import uvloop

ORDER = re.compile(rb"bench:(\d+):(\d+):(\w+)")
# what a chunk's text begins with: nanoseconds of the monotonic clock, which is one for all processes of a machine
STAMP = re.compile(rb'"content":"@(\d+) ')
_USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}'
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-request-id: req-mock\r\n%b\r\n\r\n"
_TEXT = "Forty-two words would be too many for the answer that a benchmark needs."


def _whole(content_type: bytes, body: bytes) -> bytes:
    return _HEAD % (content_type, b"content-length: %d" % len(body)) + body


_CHAT = _whole(
    b"application/json",
    b'{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock-model","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%b"},"logprobs":null,"finish_reason":"stop"}],%b}'
    % (_TEXT.encode(), _USAGE),
)
_VECTOR = json.dumps([round(0.0123456 * (-1) ** i + i / 1e5, 8) for i in range(1536)]).encode()
_EMBEDDING = _whole(
    b"application/json",
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":%b}],"model":"mock-model",'
    b'"usage":{"prompt_tokens":9,"total_tokens":9}}' % _VECTOR,
)
_MODELS = _whole(b"application/json", b'{"object":"list","data":[{"id":"mock-model","object":"model","owned_by":"m"}]}')
_CHUNK = (
    b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock-model","choices":'
    b'[{"index":0,"delta":{%b},"logprobs":null,"finish_reason":%b}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock-model",'
    b'"choices":[],%b}\n\ndata: [DONE]\n\n' % _USAGE
)


class _Gone:
    """When readers of streams hung up: nanoseconds of the monotonic clock by the id of the prompt."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}


class Upstream(asyncio.Protocol):
    """One connection; requests are answered one after another."""

    def __init__(self, gone: _Gone) -> None:
        self._gone = gone
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._url = b""
        self._streaming: asyncio.Task[None] | None = None
        self._stream_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        """Note a reader that left before the end."""
        if self._streaming is not None and not self._streaming.done():
            self._gone.at[self._stream_id] = time.monotonic_ns()
            self._streaming.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Begin a request."""
        self._url, self._body = url, []

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        if self._url.endswith(b"/embeddings"):
            self._transport.write(_EMBEDDING)
        elif self._url.endswith(b"/models"):
            self._transport.write(_MODELS)
        elif self._url == b"/gone":
            self._transport.write(_whole(b"application/json", json.dumps(self._gone.at).encode()))
        else:
            self._chat(b"".join(self._body))

    def _chat(self, body: bytes) -> None:
        # the flag stands behind or before a long prompt, never inside
        is_stream = b'"stream":true' in body or b'"stream": true' in body
        if not is_stream:
            self._transport.write(_CHAT)
            return
        found = ORDER.search(body)
        chunks, pause_ms, stream_id = (int(found[1]), int(found[2]), found[3].decode()) if found else (10, 0, "")
        self._stream_id = stream_id
        self._streaming = asyncio.get_running_loop().create_task(self._stream(chunks, pause_ms / 1000))

    async def _stream(self, chunks: int, pause: float) -> None:
        write = self._write_chunk
        head = _HEAD % (b"text/event-stream", b"transfer-encoding: chunked")
        write(_CHUNK % (b'"role":"assistant","content":"@%d "' % time.monotonic_ns(), b"null"), head)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(chunks):
            if pause:
                due += pause
                await asyncio.sleep(max(0.0, due - loop.time()))
            write(_CHUNK % (b'"content":"@%d "' % time.monotonic_ns(), b"null"))
        write(_CHUNK % (b"", b'"stop"') + _LAST)
        self._transport.write(b"0\r\n\r\n")

    def _write_chunk(self, data: bytes, head: bytes = b"") -> None:
        self._transport.write(head + b"%x\r\n%b\r\n" % (len(data), data))


async def _serve() -> None:
    loop, gone = asyncio.get_running_loop(), _Gone()
    server = await loop.create_server(lambda: Upstream(gone), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
