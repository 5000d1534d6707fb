"""Callers and handlers for tests of the bus, which show what is on the wire and stop where a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from llm_manager.contracts.bus.v1.frame_pb2 import Frame
from llm_manager.core.errors import LlmManagerError, RequestCancelled
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import REQUEST_ID, TIMEOUT_MS
from llm_manager.kit.bus.requests import FrameStream
from llm_manager.kit.bus.responder import FrameSink, IncomingRequest

_PATIENCE_SECONDS = 8.0


async def until(condition: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait for a condition that nobody signals; TimeoutError when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # nobody signals it
            await asyncio.sleep(0.005)


async def outcome_of(stream: FrameStream) -> tuple[list[bytes], bytes | LlmManagerError]:
    """Read an answer to its end: its messages, then the done payload or the error."""
    read: list[bytes] = []
    try:
        async for message in stream:
            read.append(message)  # kept although an error follows
    except LlmManagerError as error:
        return read, error
    return read, stream.done


class BlockedHandler:
    """A handler that waits for `go` and then returns b"went"; cancelled, it reports b"usage so far" as detail."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.reason: str | None = None
        self.ended = asyncio.Event()

    async def __call__(self, request: IncomingRequest, sink: FrameSink) -> bytes:
        """Handle one request."""
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.reason = request.cancel_reason
            await asyncio.sleep(0.01)  # accounting may wait
            cancelled = RequestCancelled("stopped")
            cancelled.detail = b"usage so far"
            raise cancelled from None
        finally:
            self.ended.set()
        return b"went"


class RawCaller:
    """A requester made by hand, to see every frame as it is on the wire."""

    def __init__(self, bus: Bus) -> None:
        self.inbox = bus.client.new_inbox()
        self._bus = bus
        self._messages: asyncio.Queue[Msg] = asyncio.Queue(10_000)
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> Self:
        async def keep(message: Msg) -> None:
            self._messages.put_nowait(message)

        self._subscription = await self._bus.subscribe(self.inbox, keep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def send(self, subject: str, *, timeout_ms: int | str = 5000, request_id: str = "r") -> None:
        """Send a request without payload."""
        headers = {REQUEST_ID: request_id, TIMEOUT_MS: str(timeout_ms)}
        await self._bus.publish(subject, b"", headers=headers, reply=self.inbox)

    @property
    def waiting(self) -> int:
        """Frames that have come and were not returned."""
        return self._messages.qsize()

    async def frame(self) -> Frame:
        """Return the next frame."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return Frame.FromString((await self._messages.get()).data)

    async def frames(self) -> list[Frame]:
        """Return all frames up to the terminal one, and make sure that nothing follows it."""
        frames = [await self.frame()]
        while frames[-1].WhichOneof("body") not in {"done", "failed"}:
            frames.append(await self.frame())
        await self._bus.client.flush()
        await asyncio.sleep(0.02)
        if not self._messages.empty():
            raise AssertionError(f"a frame follows the terminal one: {await self.frame()}")
        return frames
