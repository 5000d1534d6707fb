"""Speaks to a worker frame by frame, without the library that the platform itself reads answers with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from llm_manager.contracts.bus.v1.frame_pb2 import Cancel, Frame
from llm_manager.contracts.inference.v1.chat_pb2 import ROLE_USER, ChatInput, EmbeddingsInput, Message, Part
from llm_manager.contracts.inference.v1.infer_pb2 import Attribution, Chunk, Done, InferRequest, Target
from llm_manager.contracts.usage.v1.event_pb2 import UsageRecorded
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import INBOX, REQUEST_ID, TIMEOUT_MS, cancel_subject


@dataclass(slots=True)
class Heard:
    """Everything that came back for one request, in order, with the second after the request at which it came."""

    frames: list[Frame] = field(default_factory=list[Frame])
    at: list[float] = field(default_factory=list[float])
    no_worker: bool = False
    event_before_end: bool = False
    after_end: int = 0

    @property
    def last(self) -> Frame:
        """The last frame; an empty one when nothing came."""
        return self.frames[-1] if self.frames else Frame()

    @property
    def chunks(self) -> list[Chunk]:
        """What the messages say."""
        return [Chunk.FromString(frame.message) for frame in self.frames if frame.WhichOneof("body") == "message"]

    @property
    def done(self) -> Done:
        """The account at the end, of a failure too."""
        end = self.last
        return Done.FromString(end.failed.detail if end.WhichOneof("body") == "failed" else end.done)


@dataclass(slots=True)
class Conversation:
    """One kind of worker, and the events that it records for this app.

    Args:
        model: a model that the worker serves.
        credential: the sealed credential that its provider needs, or empty.
        event_seconds: how long an event may take to arrive.
    """

    bus: Bus
    kind: str
    model: str
    credential: bytes = b""
    event_seconds: float = 5.0
    app_id: str = field(default_factory=lambda: f"conformance-{uuid7()}")
    events: dict[str, list[UsageRecorded]] = field(default_factory=dict[str, list[UsageRecorded]])
    message_ids: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _subscription: Subscription | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[Conversation]:
        """Listen to the worker's events while the body runs."""
        subscription = await self.bus.subscribe(f"llm.v1.usage.recorded.{self.app_id}", self._take_event)
        self._subscription = subscription
        try:
            yield self
        finally:
            await subscription.unsubscribe()

    async def _take_what_came(self) -> None:
        """Let events in that came before this moment: each subscription has a queue and a task of its own."""
        while self._subscription is not None and self._subscription.pending_msgs:  # noqa: ASYNC110 (no event to wait for)
            await asyncio.sleep(0)

    async def _take_event(self, message: Msg) -> None:
        event = UsageRecorded.FromString(message.data)
        self.events.setdefault(event.event_id, []).append(event)
        self.message_ids.setdefault(event.event_id, []).append((message.headers or {}).get("Nats-Msg-Id", ""))
        self._arrived.set()

    def request(self, *, timeout_ms: int = 20_000) -> InferRequest:
        """Return an attempt without an input."""
        return InferRequest(
            attribution=Attribution(
                request_id=uuid7(),
                attempt_id=uuid7(),
                attempt=1,
                app_id=self.app_id,
                api_key_id="conformance",
                requested_model="conformance",
                tags={"suite": "conformance"},
            ),
            target=Target(provider=self.kind, kind=self.kind, upstream_model=self.model, credential=self.credential),
            timeout_ms=timeout_ms,
        )

    def chat(self, text: str, *, is_stream: bool, timeout_ms: int = 20_000) -> InferRequest:
        """Return a chat of one message in neutral words."""
        request = self.request(timeout_ms=timeout_ms)
        request.chat.CopyFrom(ChatInput(messages=[Message(role=ROLE_USER, parts=[Part(text=text)])]))
        request.is_stream = is_stream
        return request

    def embeddings(self, texts: list[str]) -> InferRequest:
        """Return texts to embed."""
        request = self.request()
        request.embeddings.CopyFrom(EmbeddingsInput(texts=texts))
        return request

    async def ask(
        self, request: InferRequest | bytes, *, cancel_after_frames: int = 0, wait_seconds: float = 25.0
    ) -> Heard:
        """Send a request and listen until the terminal frame, and a moment longer for what must not follow it.

        Args:
            request: or any bytes, for a worker to refuse.
            cancel_after_frames: cancel once so many frames came; 0 means never.
        """
        heard, inbox, ended = Heard(), self.bus.client.new_inbox(), asyncio.Event()
        started = time.monotonic()
        attribution = request.attribution if isinstance(request, InferRequest) else Attribution(request_id=uuid7())

        async def take(message: Msg) -> None:
            if not message.data and (message.headers or {}).get("Status") == "503":
                heard.no_worker = True
                ended.set()
                return
            frame = Frame.FromString(message.data)
            if ended.is_set():
                heard.after_end += 1
                return
            heard.frames.append(frame)
            heard.at.append(time.monotonic() - started)
            if cancel_after_frames and len(heard.frames) == cancel_after_frames:
                await self._cancel(attribution.request_id, heard.frames[0].accepted.worker_id, inbox)
            if frame.WhichOneof("body") in ("done", "failed"):
                await self._take_what_came()
                heard.event_before_end = attribution.attempt_id in self.events
                ended.set()

        subscription = await self.bus.subscribe(inbox, take)
        try:
            payload = request.SerializeToString() if isinstance(request, InferRequest) else request
            timeout_ms = request.timeout_ms if isinstance(request, InferRequest) else 5_000
            headers = {REQUEST_ID: attribution.request_id, TIMEOUT_MS: str(timeout_ms)}
            await self.bus.publish(f"llm.v1.infer.{self.kind}", payload, headers=headers, reply=inbox)
            async with asyncio.timeout(wait_seconds):
                await ended.wait()
            await asyncio.sleep(0.2)
        except TimeoutError:
            # what did not come is what the checks find
            return heard
        finally:
            await subscription.unsubscribe()
        return heard

    async def _cancel(self, request_id: str, worker_id: str, inbox: str) -> None:
        cancel = Cancel(request_id=request_id, reason="client_disconnected")
        await self.bus.publish(cancel_subject(worker_id), cancel.SerializeToString(), headers={INBOX: inbox})

    async def recorded(self, attempt_id: str) -> list[UsageRecorded]:
        """Return the events of an attempt, once one has come; none when none comes in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.event_seconds):
                while attempt_id not in self.events:
                    self._arrived.clear()
                    await self._arrived.wait()
        return self.events.get(attempt_id, [])
