"""Workers: take requests of a queue group and answer each with frames, exactly one of them terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

import structlog
from google.protobuf.message import DecodeError
from nats import errors
from nats.aio.subscription import Subscription

from llm_manager.contracts.bus.v1.frame_pb2 import Cancel
from llm_manager.core.errors import Draining, InvalidRequest, LlmManagerError, Overloaded
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.discovery import Discovery, subjects_of
from llm_manager.kit.bus.frame_sink import FrameSink
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import INBOX, PROBES, REQUEST_ID, TIMEOUT_MS, cancel_subject
from llm_manager.kit.bus.serving import ACCOUNTING_SECONDS, Handler, IncomingRequest, Serving

__all__ = ["FrameSink", "Handler", "IncomingRequest", "Responder"]

_TICK_SECONDS = 0.25
_UNSUBSCRIBE_SECONDS = 5.0
_DEFAULT_TIMEOUT_MS = 600_000
# A process that stood still for so long may find requests whose callers have given up (after 7 s of silence).
_STOOD_STILL_SECONDS = 3.0
_OLD_REQUESTS_SECONDS = 2.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Responder:
    """Serves requests while it is entered; leaving it drains.

    Draining unsubscribes first, refuses what arrives late with `Draining`, lets what is in flight finish for
    `drain_seconds`, and then cancels the rest with the reason `shutdown`.

    Args:
        bus: the connection.
        worker_id: unique among the workers; it is the last token of the subject for cancellations.
        queue: queue group, also the name of the micro service: letters, digits, dash and underscore.
        subjects: what to listen on.
        handler: makes one answer; see `Handler`.
        max_in_flight: requests above it are refused with `Overloaded` instead of waiting unbounded.
        why_not: says why no request can be taken now, None when one can; asked for each, so it must cost nothing.
        description, metadata: shown by `nats micro info`.
        drain_seconds: how long leaving waits for what is in flight.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        worker_id: str,
        queue: str,
        subjects: Sequence[str],
        handler: Handler,
        max_in_flight: int,
        why_not: Callable[[], LlmManagerError | None] = lambda: None,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        drain_seconds: float = 20.0,
    ) -> None:
        self._bus = bus
        self._worker_id = worker_id
        self._queue = queue
        self._subjects = tuple(subjects)
        self._handler = handler
        self._max_in_flight = max_in_flight
        self._why_not = why_not
        self._drain_seconds = drain_seconds
        self._claims = ClaimStore(bus)
        self._counts = subjects_of(subjects)
        self._discovery = Discovery(
            bus.client,
            queue=queue,
            description=description,
            metadata={"worker_id": worker_id, **(metadata or {})},
            counts=self._counts,
        )
        self._probe_inbox = bus.client.inbox_for(PROBES)
        self._tokens = count()
        self._servings: dict[str, Serving] = {}
        self._requests: list[Subscription] = []
        self._controls: list[Subscription] = []
        self._ticker: asyncio.Task[None] | None = None
        self._ticked_at, self._doubt_until = asyncio.get_running_loop().time(), 0.0
        self._is_draining = False

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return len(self._servings)

    async def __aenter__(self) -> Self:
        self._controls = [
            await self._bus.listen(f"{self._probe_inbox}.*", self._on_probe_reply),
            await self._bus.listen(cancel_subject(self._worker_id), self._on_cancel),
        ]
        self._ticker = asyncio.create_task(self._tick(), name=f"bus-heartbeats-{self._worker_id}")
        for subject in self._subjects:
            self._requests.append(await self._bus.listen(subject, self._on_request, queue=self._queue))
        await self._discovery.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_draining = True
        try:
            # Draining a subscription, not just ending it: what the server has sent already still gets its refusal.
            await asyncio.gather(*(self._bounded(subscription.drain()) for subscription in self._requests))
            await self._bounded(self._discovery.stop())
            await self._wait_for_servings(self._drain_seconds)
        finally:
            for serving in list(self._servings.values()):
                serving.cancel("shutdown")
            await self._wait_for_servings(ACCOUNTING_SECONDS + 1.0)
            if self._ticker is not None:
                self._ticker.cancel()
                await asyncio.wait({self._ticker})
            for subscription in self._controls:
                await self._bounded(subscription.unsubscribe())
            await self._bounded(self._bus.client.flush())

    @staticmethod
    async def _bounded(step: Awaitable[None]) -> None:
        # Without a connection the server has forgotten the subscriptions anyhow.
        with suppress(errors.Error, TimeoutError):
            async with asyncio.timeout(_UNSUBSCRIBE_SECONDS):
                await step

    async def _wait_for_servings(self, timeout_seconds: float) -> None:
        tasks = [serving.task for serving in self._servings.values() if serving.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_seconds)

    def _on_request(self, message: Message) -> None:
        if not message.reply:
            log.warning("bus_request_without_reply", subject=message.subject)
            return
        token = f"{next(self._tokens):x}"
        sink = FrameSink(
            self._bus,
            self._claims,
            worker_id=self._worker_id,
            inbox=message.reply,
            probe=f"{self._probe_inbox}.{token}",
        )
        try:
            request = self._admit(message)
        except LlmManagerError as refusal:
            sink.refuse(refusal)
            return
        serving = Serving(request, sink, self._claims, self._counts[message.subject], inbox=message.reply)
        self._servings[token] = serving
        serving.start(self._handler, lambda: self._servings.pop(token, None), is_in_doubt=self._may_be_old())

    def _may_be_old(self) -> bool:
        """Whether requests that arrive now may have waited while this process was frozen."""
        now = asyncio.get_running_loop().time()
        if now - self._ticked_at > _STOOD_STILL_SECONDS:
            self._doubt_until = now + _OLD_REQUESTS_SECONDS
        return now < self._doubt_until

    def _admit(self, message: Message) -> IncomingRequest:
        if self._is_draining:
            raise Draining("This worker is shutting down; another one will take the request if it is sent again.")
        if len(self._servings) >= self._max_in_flight:
            raise Overloaded(f"This worker has {len(self._servings)} requests in flight, its limit; retry.")
        refusal = self._why_not()
        if refusal is not None:
            raise refusal
        headers = message.headers or {}
        request_id = headers.get(REQUEST_ID, "")
        if not request_id:
            raise InvalidRequest(f"A request on the bus needs the header {REQUEST_ID}.", param=REQUEST_ID)
        try:
            timeout_ms = int(headers.get(TIMEOUT_MS, _DEFAULT_TIMEOUT_MS))
        except ValueError as error:
            raise InvalidRequest(f"The header {TIMEOUT_MS} is not a number.", param=TIMEOUT_MS) from error
        return IncomingRequest(
            subject=message.subject,
            payload=message.data,
            request_id=request_id,
            deadline=asyncio.get_running_loop().time() + timeout_ms / 1000,
            headers=headers,
        )

    def _on_cancel(self, message: Message) -> None:
        try:
            cancel = Cancel.FromString(message.data)
        except DecodeError:
            log.warning("bus_cancel_unreadable", worker_id=self._worker_id)
            return
        inbox = (message.headers or {}).get(INBOX)
        for serving in self._meant(cancel.request_id, inbox):
            serving.cancel(cancel.reason or "cancelled")

    def _meant(self, request_id: str, inbox: str | None) -> Iterable[Serving]:
        return [
            serving
            for serving in self._servings.values()
            if serving.request.request_id == request_id and inbox in {None, serving.inbox}
        ]

    def _on_probe_reply(self, message: Message) -> None:
        serving = self._servings.get(message.subject[len(self._probe_inbox) + 1 :])
        if serving is not None and serving.sink.is_reader_gone(message):
            serving.cancel("requester_gone")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._may_be_old()
            self._ticked_at = asyncio.get_running_loop().time()
            for serving in list(self._servings.values()):
                try:
                    if not await serving.sink.beat():
                        serving.cancel("requester_gone")
                except (LlmManagerError, errors.Error) as error:
                    # The connection was lost this very moment; the next tick after the reconnect goes on.
                    log.debug("bus_heartbeat_failed", worker_id=self._worker_id, error=str(error))
                    break
