"""The reading end of one answer: checks the numbering, bounds what waits, and tells silence from death."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

import msgspec
from google.protobuf.message import DecodeError

from llm_manager.contracts.bus.v1.frame_pb2 import Cancel, Failed, Frame
from llm_manager.core.errors import (
    BusUnavailable,
    DeadlineExceeded,
    LlmManagerError,
    NoWorker,
    RequestCancelled,
    StoreUnavailable,
    WorkerLost,
)
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import CLAIM_CHECK, INBOX, NO_RESPONDERS, STATUS, cancel_subject
from llm_manager.kit.errors_wire import from_proto

# What may wait for a slow reader: 8 MiB is minutes of the fastest model, 32,768 frames are about as much in tiny ones.
MAX_WAITING_BYTES = 8 * 1024 * 1024
MAX_WAITING_FRAMES = 32_768
# A timer that comes this late says that our own loop stood still, and frames may lie unread in the socket.
_STALL_SECONDS = 1.0


class Call(msgspec.Struct, frozen=True):
    """What one request needs to know beside its payload."""

    subject: str
    request_id: str
    inbox: str
    deadline: float
    silence_seconds: float

    @property
    def kind(self) -> str:
        """The last token of the subject, which names the kind of worker."""
        return self.subject.rpartition(".")[2]


class Ending(Enum):
    """How a worker ended what its caller had given up."""

    ACCOUNTED = "accounted"  # it has said what was used
    UNBEGUN = "unbegun"  # nobody took it, or it was withdrawn before any work
    UNKNOWN = "unknown"  # it said nothing more


@dataclass(frozen=True, slots=True)
class _Claim:
    name: str


class FrameStream:
    """One answer: an asynchronous iterator over the bytes of its messages, then `done`.

    Enter it to send the request; leaving it before the end cancels the request at the worker.
    """

    def __init__(
        self,
        bus: Bus,
        claims: ClaimStore,
        call: Call,
        *,
        open_: Callable[[FrameStream], Awaitable[None]],
        close: Callable[[FrameStream], None],
    ) -> None:
        self.call = call
        self.worker_id = ""
        # Set when the answer is left before its end: it tells how the worker ended it, within some seconds.
        self.ending: asyncio.Future[Ending] | None = None
        self._bus = bus
        self._claims = claims
        self._open = open_
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._items: deque[bytes | _Claim] = deque()
        self._size = 0
        self._expected = 0
        self._last_seen = self._loop.time()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._done: bytes | _Claim | None = None
        self._error: LlmManagerError | None = None
        self._error_claim: str | None = None
        # True when the worker has nothing left to do for us, so that a Cancel would be pointless.
        self._is_over = False
        self._cancel_reason: str | None = None

    @property
    def is_over(self) -> bool:
        """True when the worker has nothing left to do for us."""
        return self._is_over

    @property
    def done(self) -> bytes:
        """The payload of the frame that ended the answer. Only after the iteration has ended by itself."""
        if not isinstance(self._done, bytes):
            raise RuntimeError("the answer has not been read to its end")  # noqa: TRY004  # a state, not a type
        return self._done

    async def __aenter__(self) -> Self:
        try:
            await self._open(self)
        except BaseException:
            self._close(self)
            raise
        self._last_seen = self._loop.time()
        self._arm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._close(self)
        self.cancel("deadline_exceeded" if isinstance(self._error, DeadlineExceeded) else "client_disconnected")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._items and not await self._has_more():
            raise StopAsyncIteration
        item = self._items.popleft()
        if isinstance(item, _Claim):
            return await self._redeem(item.name)
        self._size -= len(item)
        return item

    async def arrived(self) -> list[bytes]:
        """Return every message that is here, at least one; none at the end. It raises what iterating raises."""
        if not self._items and not await self._has_more():
            return []
        messages: list[bytes] = []
        while self._items:
            item = self._items[0]
            if isinstance(item, _Claim):
                # what came before it is not held up, nor lost when it cannot be fetched
                return messages or [await anext(self)]
            messages.append(item)
            self._size -= len(item)
            self._items.popleft()
        return messages

    async def _has_more(self) -> bool:
        """Wait for a message; False at the end."""
        while not self._items:
            if self._error is not None:
                await self._complete_error()
                raise self._error
            if self._done is not None:
                if isinstance(self._done, _Claim):
                    self._done = await self._redeem(self._done.name)
                return False
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True

    def cancel(self, reason: str) -> None:
        """Ask the worker to stop; its terminal frame still follows, so go on reading for what was used so far.

        Before a worker has accepted the request this takes effect as soon as one does. Idempotent.
        """
        if self._is_over:
            return
        first = self._cancel_reason is None
        self._cancel_reason = self._cancel_reason or reason
        if first and self.worker_id:
            self._publish_cancel()

    def _publish_cancel(self) -> None:
        cancel = Cancel(request_id=self.call.request_id, reason=self._cancel_reason or "")
        try:
            self._bus.send(cancel_subject(self.worker_id), cancel.SerializeToString(), headers={INBOX: self.call.inbox})
        except BusUnavailable:
            # The worker finds out by itself: its next probe of the inbox meets nobody.
            return

    def take(self, message: Message) -> None:
        """Take one message of the inbox. For the requester only; waits for nothing but the socket."""
        headers = message.headers
        if headers is not None and not message.data and headers.get(STATUS) == NO_RESPONDERS:
            self._is_over = True
            self.fail(_no_worker(self.call))
            return
        try:
            frame = Frame.FromString(message.data)
        except DecodeError:
            self._break_off("worker_lost", WorkerLost("The worker sent a frame that cannot be read; retry."))
            return
        self._last_seen = self._loop.time()
        if frame.sequence != self._expected:
            if frame.sequence > self._expected:
                lost = frame.sequence - self._expected
                self._break_off("worker_lost", WorkerLost(f"{lost} frames of the answer were lost; retry."))
            return  # a lower number is a probe of a worker that has reconnected
        self._expected += 1
        self._take_body(frame, headers.get(CLAIM_CHECK) if headers is not None else None)

    def _take_body(self, frame: Frame, claim: str | None) -> None:
        match frame.WhichOneof("body"):
            case "message":
                self._keep(frame.message, claim)
            case "accepted":
                self.worker_id = frame.accepted.worker_id
                if self._cancel_reason is not None:
                    self._publish_cancel()
            case "done":
                self._end(_Claim(claim) if claim else frame.done)
            case "failed":
                self._end_with(frame.failed, claim)
            case _:
                return  # a heartbeat, or a body of a newer version

    def _keep(self, message: bytes, claim: str | None) -> None:
        if self._error is not None or self._is_over:
            return
        self._items.append(_Claim(claim) if claim else message)
        self._size += len(message)
        if self._size > MAX_WAITING_BYTES or len(self._items) > MAX_WAITING_FRAMES:
            waiting = len(self._items)
            self._items.clear()
            error = RequestCancelled(f"The answer was read too slowly: {waiting} frames waited; it was cancelled.")
            self._break_off("slow_reader", error)
            return
        self._wake()

    def _end(self, done: bytes | _Claim) -> None:
        self._is_over = True
        if self._error is None:
            self._done = done
        self._wake()

    def _end_with(self, failed: Failed, claim: str | None) -> None:
        self._is_over = True
        error = from_proto(failed.error)
        error.detail = failed.detail
        self._error_claim = claim
        self.fail(error)

    def _break_off(self, reason: str, error: LlmManagerError) -> None:
        if self._error is None and not self._is_over:
            self.fail(error)
            self.cancel(reason)

    def fail(self, error: LlmManagerError) -> None:
        """End the iteration with an error, after the messages that have arrived."""
        if self._error is None and self._done is None:
            self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arm(self) -> None:
        # Kept here: for what is due at once uvloop returns a handle that does not know its time.
        self._due = min(self.call.deadline, self._last_seen + self.call.silence_seconds)
        self._timer = self._loop.call_at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        # One timer per answer that is moved on when it fires: frames cost it nothing.
        if self._is_over or self._error is not None:
            return
        now = self._loop.time()
        if now >= self.call.deadline:
            self.fail(DeadlineExceeded("The time for the whole request is over before the answer was complete."))
            return
        if now - self._due > _STALL_SECONDS:
            self._last_seen = now
        if self._bus.client.is_connected:
            # While NATS was away nobody could be heard.
            self._last_seen = max(self._last_seen, self._bus.connected_at)
        if now - self._last_seen >= self.call.silence_seconds:
            self.fail(self._silence())
            return
        self._arm()

    def _silence(self) -> LlmManagerError:
        if not self._bus.client.is_connected:
            return self._bus.unavailable()
        who = f"Worker {self.worker_id!r}" if self.worker_id else f"The worker for {self.call.kind!r}"
        return WorkerLost(f"{who} was silent for {self.call.silence_seconds:g} s and is taken for lost; retry.")

    async def _redeem(self, name: str) -> bytes:
        try:
            async with asyncio.timeout_at(self.call.deadline):
                return await self._claims.redeem(name)
        except TimeoutError as error:
            raise DeadlineExceeded("The time for the request is over before a large answer was fetched.") from error

    async def _complete_error(self) -> None:
        if self._error is not None and self._error_claim is not None:
            name, self._error_claim = self._error_claim, None
            try:
                self._error.detail = await self._redeem(name)
            except (StoreUnavailable, DeadlineExceeded):
                # The failure itself is what the caller must see; the detail is only its addition.
                return


def _no_worker(call: Call) -> NoWorker:
    return NoWorker(
        f"No worker serves {call.kind!r} right now (nobody listens on {call.subject!r}); start one, or retry later."
    )
