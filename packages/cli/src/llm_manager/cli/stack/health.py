"""What the processes of a stack say of themselves now, whatever was last written about them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from . import processes
from .probes import Reply, http_ready, nats_ready
from .state import ChildState, RunState


async def ask(running: RunState) -> Mapping[str, Reply]:
    """Ask every process at once; who does not answer within two seconds is not ready."""

    async def reply_of(child: ChildState) -> Reply:
        if not processes.is_alive(child.process):
            return Reply("has ended", is_alive=False)
        port = urlsplit(child.ops_url or running.nats_url).port or 0
        return await (http_ready(port) if child.ops_url else nats_ready(port))()

    children = running.children
    return dict(zip(children, await asyncio.gather(*map(reply_of, children.values())), strict=True))
