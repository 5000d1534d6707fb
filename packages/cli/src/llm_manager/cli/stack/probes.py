"""Is a child ready? Asked over the socket that it serves, without an HTTP library (see the package's docstring)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """What a probe brought back.

    Args:
        why_not_ready: None when the child is ready, else the reason, in the child's own words where it answered.
        is_alive: False when nothing answered: the child is gone, frozen, or busy with one thing only.
    """

    why_not_ready: str | None
    is_alive: bool = True


Probe = Callable[[], Awaitable[Reply]]

DEADLINE_SECONDS = 2.0
_MAX_ANSWER_BYTES = 8_192


def http_ready(port: int, *, path: str = "/readyz", host: str = "127.0.0.1") -> Probe:
    """Return a probe that is content with status 200; anything else is the reason, in the child's own words."""

    async def probe() -> Reply:
        request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        answer = await _ask(host, port, request.encode())
        head, _, body = answer.partition("\r\n\r\n")
        status = head.split(" ", 2)[1:2]
        if status == ["200"]:
            return Reply(None)
        return Reply(_reasons(body) or f"answers {path} with {head[:40]!r}", is_alive=bool(answer))

    return _guarded(probe)


def nats_ready(port: int, *, host: str = "127.0.0.1") -> Probe:
    """Return a probe that is content with the INFO line; nats-server listens only after JetStream has recovered."""

    async def probe() -> Reply:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            line = await reader.readline()
        finally:
            writer.close()
        return Reply(None if line.startswith(b"INFO ") else "the port does not speak NATS", is_alive=bool(line))

    return _guarded(probe)


def _reasons(body: str) -> str:
    """Return what our services answer as text; what anybody else answers as it is, in short."""
    try:
        reasons = json.loads(body)["reasons"].values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(body.split())[:500]
    return "; ".join(map(str, reasons))


async def _ask(host: str, port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        return (await reader.read(_MAX_ANSWER_BYTES)).decode(errors="replace")
    finally:
        writer.close()


def _guarded(probe: Probe) -> Probe:
    async def guarded() -> Reply:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await probe()
        except TimeoutError:
            return Reply(f"does not answer within {DEADLINE_SECONDS:g} s", is_alive=False)
        except OSError:
            return Reply("does not listen yet", is_alive=False)

    return guarded
