"""Requests to workers: one inbox subscription for all answers of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from nats import errors
from nats.aio.subscription import Subscription

from llm_manager.core.errors import BusUnavailable, DeadlineExceeded
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.frame_stream import Call, Ending, FrameStream
from llm_manager.kit.bus.leavings import Leavings
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import ANSWERS, CLAIM_CHECK, REQUEST_ID, TIMEOUT_MS
from llm_manager.kit.bus.refusals import NotPermittedError

__all__ = ["Ending", "FrameStream", "Requester"]


class Requester:
    """Sends requests and hands every answer's frames to its stream. Enter it once per process.

    Args:
        bus: the connection.
        silence_seconds: a worker that sends nothing for so long is taken for lost; it must be above the 2 s of
            its heartbeats.
    """

    def __init__(self, bus: Bus, *, silence_seconds: float = 7.0) -> None:
        self._bus = bus
        self._claims = ClaimStore(bus)
        self._silence_seconds = silence_seconds
        self._inbox = bus.client.inbox_for(ANSWERS)
        self._prefix_length = len(self._inbox) + 1
        self._tokens = count()
        self._streams: dict[str, FrameStream] = {}
        self._leavings = Leavings(bus, silence_seconds=silence_seconds)
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] = lambda: None

    @property
    def in_flight(self) -> int:
        """Answers that are being read."""
        return len(self._streams)

    async def __aenter__(self) -> Self:
        self._subscription = await self._bus.listen(f"{self._inbox}.*", self._on_message)
        self._forget = self._bus.client.refusals.listen(self._on_refusal)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in list(self._streams.values()):
            stream.fail(BusUnavailable("This process closes its connection to the bus; retry."))
        self._leavings.clear()
        self._forget()
        self._forget = lambda: None
        if self._subscription is not None:
            with suppress(errors.Error):
                await self._subscription.unsubscribe()
            self._subscription = None

    def stream(
        self,
        subject: str,
        payload: bytes,
        *,
        request_id: str,
        deadline_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> FrameStream:
        """Return the answer of one worker that listens on `subject`; entering it sends the request.

        Args:
            subject: its last token names the kind of worker.
            payload: up to 64 MiB; what the server takes in no message travels by claim check.
            request_id: travels as `Request-Id`; attempts of one request may share it.
            deadline_seconds: time for the whole answer; the worker is told and stops by itself.
            headers: added to the message, for example `traceparent`.
        Raises:
            NoWorker, WorkerLost, DeadlineExceeded, BusUnavailable, BodyTooLarge, StoreUnavailable, or the error that
            the worker reported. They come out of entering and iterating; `error.detail` is what the worker added.
        """
        if self._subscription is None:
            raise RuntimeError("the requester is not entered")
        token = f"{next(self._tokens):x}"
        call = Call(
            subject=subject,
            request_id=request_id,
            inbox=f"{self._inbox}.{token}",
            deadline=asyncio.get_running_loop().time() + deadline_seconds,
            silence_seconds=self._silence_seconds,
        )

        async def open_(stream: FrameStream) -> None:
            self._streams[token] = stream
            await self._send(call, payload, headers)

        def close(stream: FrameStream) -> None:
            if self._streams.pop(token, None) is not None and not stream.is_over:
                stream.ending = self._leavings.add(token, call.request_id, is_accepted=bool(stream.worker_id))

        return FrameStream(self._bus, self._claims, call, open_=open_, close=close)

    async def _send(self, call: Call, payload: bytes, headers: Mapping[str, str] | None) -> None:
        if not self._bus.client.is_connected:
            raise self._bus.unavailable()
        sent = dict(headers) if headers else {}
        sent[REQUEST_ID] = call.request_id
        if len(payload) > self._claims.inline_limit:
            sent[CLAIM_CHECK] = await self._claims.deposit(payload)
            payload = b""
        remaining_ms = int((call.deadline - asyncio.get_running_loop().time()) * 1000)
        if remaining_ms <= 0:
            raise DeadlineExceeded("The time for the whole request was over before it was sent.")
        sent[TIMEOUT_MS] = str(remaining_ms)
        await self._bus.publish(call.subject, payload, headers=sent, reply=call.inbox)

    def _on_refusal(self, subject: str) -> None:
        for stream in list(self._streams.values()):
            if stream.call.subject == subject and not stream.worker_id:
                stream.fail(BusUnavailable(f"The bus refuses requests: {NotPermittedError(subject)}."))

    def _on_message(self, message: Message) -> None:
        token = message.subject[self._prefix_length :]
        stream = self._streams.get(token)
        if stream is not None:
            stream.take(message)
            return
        self._leavings.take(token, message)
        if message.reply:
            # The answer was given up; a worker that probes the inbox learns it by any reply.
            with suppress(BusUnavailable):
                self._bus.send(message.reply, b"")
