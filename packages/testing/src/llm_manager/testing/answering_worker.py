"""A worker on a real bus whose answers a test writes; what the gateway meets instead of the providers service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import RequestCancelled
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.responder import FrameSink, IncomingRequest, Responder

Script = Callable[[infer_pb2.InferRequest, FrameSink], Awaitable[bytes]]


def text(fragment: str, *, choice: int = 0) -> chat_pb2.Delta:
    """One step of visible text."""
    return chat_pb2.Delta(choice=choice, text=fragment)


def finish(reason: str = "stop", *, choice: int = 0) -> chat_pb2.Delta:
    """The end of a choice."""
    return chat_pb2.Delta(choice=choice, finish=chat_pb2.Finish(reason=reason, native_reason=reason))


def chunk(*deltas: chat_pb2.Delta, info: chat_pb2.AnswerInfo | None = None) -> bytes:
    """A piece of a neutral answer."""
    characters = sum(len(delta.text) for delta in deltas)
    return infer_pb2.Chunk(info=info, deltas=deltas, characters=characters).SerializeToString()


def native(*documents: object, characters: int = 0) -> bytes:
    """A piece of a native answer: bytes go as they are, anything else as JSON."""
    encoded = [item if isinstance(item, bytes) else msgspec.json.encode(item) for item in documents]
    return infer_pb2.Chunk(native=encoded, characters=characters).SerializeToString()


def done(
    *,
    usage: event_pb2.Usage | None = None,
    cost_picousd: int | None = 0,
    raw_usage: bytes = b"",
    source: event_pb2.UsageSource.ValueType = event_pb2.USAGE_SOURCE_PROVIDER,
    upstream_request_id: str = "",
    upstream_headers: dict[str, str] | None = None,
) -> bytes:
    """The account of an attempt; `cost_picousd` None means unpriced."""
    state = event_pb2.COST_STATE_UNPRICED if cost_picousd is None else event_pb2.COST_STATE_PRICED
    event = event_pb2.UsageRecorded(
        usage=usage or event_pb2.Usage(input_uncached=3, output_text=2, requests=1),
        usage_source=source,
        raw_usage=raw_usage,
        cost=event_pb2.Cost(state=state, total_picousd=cost_picousd, price_version="test"),
        upstream_request_id=upstream_request_id,
    )
    return infer_pb2.Done(event=event, upstream_headers=upstream_headers or {}).SerializeToString()


def answering(*messages: bytes, end: bytes | None = None) -> Script:
    """A script that sends messages and ends well."""

    async def script(_: infer_pb2.InferRequest, sink: FrameSink) -> bytes:
        for message in messages:
            await sink.send(message)
        return done() if end is None else end

    return script


def failing(error: Exception, *messages: bytes) -> Script:
    """A script that sends messages and fails."""

    async def script(_: infer_pb2.InferRequest, sink: FrameSink) -> bytes:
        for message in messages:
            await sink.send(message)
        raise error

    return script


def hanging(*messages: bytes) -> Script:
    """A script that sends messages and then waits until it is cancelled."""

    async def script(_: infer_pb2.InferRequest, sink: FrameSink) -> bytes:
        for message in messages:
            await sink.send(message)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return script


class AnsweringWorker:
    """Answers by its `script`, which a test sets; keeps what it was asked and which requests were cancelled."""

    def __init__(self) -> None:
        self.script: Script = answering(chunk(text("Hello"), finish()))
        self.requests: list[infer_pb2.InferRequest] = []
        self.headers: list[dict[str, str]] = []
        self.cancellations: asyncio.Queue[str] = asyncio.Queue()
        self.is_asked = asyncio.Event()

    async def handle(self, request: IncomingRequest, sink: FrameSink) -> bytes:
        """Answer one request; the handler of the responder."""
        asked = infer_pb2.InferRequest.FromString(request.payload)
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        self.is_asked.set()
        try:
            return await self.script(asked, sink)
        except asyncio.CancelledError:
            self.cancellations.put_nowait(request.cancel_reason or "")
            raise RequestCancelled("cancelled by the gateway") from None


@asynccontextmanager
async def answering_worker(bus: Bus, kinds: Sequence[str]) -> AsyncGenerator[AnsweringWorker]:
    """Serve provider kinds while entered."""
    worker = AnsweringWorker()
    responder = Responder(
        bus,
        worker_id=f"test-{uuid7()}",
        queue="providers",
        subjects=[f"llm.v1.infer.{kind}" for kind in kinds],
        handler=worker.handle,
        max_in_flight=1000,
        drain_seconds=0.2,
    )
    async with responder:
        yield worker
