"""A proxy before the replay server that says which recording comes next.

The product forwards no header of a client to a provider, and a provider's credential is the same for all requests, so
a test names the recording here, out of band. Bytes and their pieces pass through as they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class SteeringProxy:
    """Set `recording` (and `mode`, one of the replay servers) before each request; requests go one at a time."""

    def __init__(self, upstreams: Mapping[str, str]) -> None:
        self._upstreams = dict(upstreams)
        self.mode = next(iter(self._upstreams))
        self.recording: str | None = None
        self.bodies: list[bytes] = []
        self.base_url = ""
        self._session: aiohttp.ClientSession | None = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        if self.recording:
            headers["x-replay"] = f"replay:id={self.recording}"
        body = await request.read()
        self.bodies.append(body)
        url = self._upstreams[self.mode] + request.path_qs
        async with self._session.request(request.method, url, headers=headers, data=body or None) as upstream:
            kept = {k: v for k, v in upstream.headers.items() if k.lower() not in _HOP | {"content-encoding"}}
            answer = web.StreamResponse(status=upstream.status, headers=kept)
            await answer.prepare(request)
            async for piece, _ in upstream.content.iter_chunks():
                await answer.write(piece)
            await answer.write_eof()
            return answer

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[SteeringProxy]:
        """Serve on a free port while the context is open; `base_url` says where."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession(auto_decompress=True, timeout=aiohttp.ClientTimeout(total=60))
        try:
            yield self
        finally:
            await self._session.close()
            await asyncio.wait_for(runner.cleanup(), 10)
