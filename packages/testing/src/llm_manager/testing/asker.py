"""Asks a provider worker over the bus, as the gateway does. For the workers' own tests and for foreign workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nats.aio.msg import Msg

from llm_manager.contracts.inference.v1.chat_pb2 import ROLE_USER, ChatInput, Message, Part
from llm_manager.contracts.inference.v1.infer_pb2 import Attribution, Chunk, Done, InferRequest, NativeInput, Target
from llm_manager.contracts.usage.v1.event_pb2 import UsageRecorded
from llm_manager.core.errors import LlmManagerError, UpstreamFailure
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.requests import Requester

# Looks like a key, so that a leak is found wherever it would show.
CREDENTIAL = "sk-canary-0123456789abcdef"


@dataclass(slots=True)
class Answered:
    """What came back for one request."""

    chunks: list[Chunk] = field(default_factory=list[Chunk])
    done: Done | None = None
    error: LlmManagerError | None = None

    @property
    def native(self) -> list[bytes]:
        """Every event or body in the client's dialect."""
        return [event for chunk in self.chunks for event in chunk.native]

    @property
    def failure(self) -> UpstreamFailure:
        """What the provider said about the failure."""
        assert self.error is not None
        assert self.error.upstream is not None
        return self.error.upstream

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the provider that clients may see."""
        assert self.done is not None
        return dict(self.done.upstream_headers)

    @property
    def event(self) -> UsageRecorded:
        """The event as the answer carried it, without the attribution."""
        assert self.done is not None
        return self.done.event


@dataclass(slots=True)
class Asker:
    """Asks a worker as the gateway does, and listens to the events that it records.

    Args:
        subject: where the worker listens.
        app_id: a name of this test alone, under which its events are published.
        seal: encrypts a credential for the worker's master key.
    """

    requester: Requester
    subject: str
    app_id: str
    seal: Callable[[str], bytes]
    base_url: str = ""
    events: list[UsageRecorded] = field(default_factory=list[UsageRecorded])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events_subject(self) -> str:
        """Where the events of this app are published."""
        return f"llm.v1.usage.recorded.{self.app_id}"

    def request(self, kind: str = "custom", *, model: str = "asked-for", credential: str = CREDENTIAL) -> InferRequest:
        """Return an attempt without an input."""
        return InferRequest(
            attribution=Attribution(
                request_id=uuid7(),
                attempt_id=uuid7(),
                attempt=1,
                app_id=self.app_id,
                api_key_id="key-1",
                requested_model="nice-name",
                tags={"team": "a"},
            ),
            target=Target(
                provider=f"{kind}-1",
                kind=kind,
                base_url=self.base_url,
                credential=self.seal(credential),
                upstream_model=model,
                is_trusted=True,
            ),
            timeout_ms=20_000,
        )

    def native_chat(self, body: bytes, *, stream: bool = True, kind: str = "custom") -> InferRequest:
        """Return a chat in the client's own words."""
        request = self.request(kind)
        request.native_chat.CopyFrom(NativeInput(dialect="openai_chat", body=body))
        request.is_stream = stream
        return request

    def neutral_chat(self, text: str, *, stream: bool = True, kind: str, model: str) -> InferRequest:
        """Return a chat of one message in neutral words."""
        request = self.request(kind, model=model)
        request.chat.CopyFrom(ChatInput(messages=[Message(role=ROLE_USER, parts=[Part(text=text)])]))
        request.is_stream = stream
        return request

    async def ask(self, request: InferRequest) -> Answered:
        """Make the attempt and wait for its end; a failure is part of the answer."""
        answered = Answered()
        try:
            async with self.requester.stream(
                self.subject,
                request.SerializeToString(),
                request_id=request.attribution.request_id,
                deadline_seconds=request.timeout_ms / 1000,
            ) as frames:
                async for message in frames:
                    answered.chunks.append(Chunk.FromString(message))
                answered.done = Done.FromString(frames.done)
        except LlmManagerError as error:
            answered.error = error
            answered.done = Done.FromString(error.detail)
        return answered

    async def the_event(self) -> UsageRecorded:
        """Return the one event of the one attempt."""
        async with asyncio.timeout(6):
            await self.arrived.wait()
        # A second event would come at once.
        await asyncio.sleep(0.05)
        assert len(self.events) == 1
        return self.events[0]

    async def take(self, message: Msg) -> None:
        """Note an event."""
        event = UsageRecorded.FromString(message.data)
        assert (message.headers or {})["Nats-Msg-Id"] == event.event_id
        self.events.append(event)
        self.arrived.set()
