"""A worker that sends exactly the frames that a test wants, right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nats.aio.msg import Msg

from llm_manager.contracts.bus.v1.frame_pb2 import Accepted, Cancel, Frame
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import cancel_subject


@dataclass(slots=True)
class ScriptedWorker:
    """What a scripted worker has seen; `answer` sends frames of its own choosing."""

    bus: Bus
    worker_id: str
    requests: asyncio.Queue[Msg] = field(default_factory=lambda: asyncio.Queue[Msg](100))
    cancels: asyncio.Queue[Cancel] = field(default_factory=lambda: asyncio.Queue[Cancel](100))

    async def answer(self, request: Msg, frames: Sequence[Frame | bytes], *, probe: str = "") -> None:
        """Send frames, or raw bytes in their place, to the inbox of a request."""
        for frame in frames:
            data = frame if isinstance(frame, bytes) else frame.SerializeToString()
            await self.bus.publish(request.reply, data, reply=probe)

    def accepted(self) -> Frame:
        """Return the first frame of an answer."""
        return Frame(sequence=0, accepted=Accepted(worker_id=self.worker_id))


@asynccontextmanager
async def scripted_worker(
    bus: Bus, subject: str, frames: Sequence[Frame | bytes] = (), *, worker_id: str = "scripted"
) -> AsyncGenerator[ScriptedWorker]:
    """Listen on a subject and answer every request with accepted and these frames; with none, only take note."""
    worker = ScriptedWorker(bus, worker_id)

    async def on_request(message: Msg) -> None:
        worker.requests.put_nowait(message)
        if frames:
            await worker.answer(message, [worker.accepted(), *frames])

    async def on_cancel(message: Msg) -> None:
        worker.cancels.put_nowait(Cancel.FromString(message.data))

    subscriptions = [
        await bus.subscribe(subject, on_request, queue="workers"),
        await bus.subscribe(cancel_subject(worker_id), on_cancel),
    ]
    await bus.client.flush()
    try:
        yield worker
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()
