"""The writing end of one answer: numbers the frames, keeps it alive, and probes whether anybody reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from llm_manager.contracts.bus.v1.frame_pb2 import Accepted, Failed, Frame, Heartbeat
from llm_manager.core.errors import BusUnavailable, LlmManagerError
from llm_manager.kit.bus.claim_check import ClaimStore
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import CLAIM_CHECK, NO_RESPONDERS, STATUS
from llm_manager.kit.errors_wire import to_proto

HEARTBEAT_SECONDS = 2.0
# Frames carry a reply subject at most this often: the server answers it with "no responders" when the reader is gone,
# so that a busy answer notices too, and the others travel without it.
_PROBE_SECONDS = 1.0
# How long an answer outlives a lost connection; readers give up after 7 s of silence.
_RESUME_SECONDS = 6.0
_RESUME_POLL_SECONDS = 0.05
_REPROBE_SECONDS = 0.4
# Those before it are never kept waiting: the first words of an answer are what a person waits for.
_FIRST_PATIENT_FRAME = 3

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reprobe:
    epoch: int
    at: float


class FrameSink:
    """Takes the messages of one answer, in order. Made by the responder."""

    def __init__(self, bus: Bus, claims: ClaimStore, *, worker_id: str, inbox: str, probe: str) -> None:
        self._bus = bus
        self._claims = claims
        self._worker_id = worker_id
        self._inbox = inbox
        self._probe = probe
        self._inline_limit = claims.inline_limit
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._last_sent = self._loop.time()
        self._last_probe = -_PROBE_SECONDS
        # After a reconnect the reader may not be back yet; until it is known to be, nothing numbered is sent.
        self._settled_epoch = bus.epoch
        self._reprobe: _Reprobe | None = None
        # the message that waits to leave with the next
        self._held: bytes | None = None
        self.is_ended = False

    async def send(self, message: bytes, *, with_next: bool = False) -> None:
        """Send one message; waits for the socket, and for the bus to come back.

        Args:
            with_next: it may leave together with the next message or the end, in one write: for the answer that is
                whole with it, of whose reader nothing is expected before the end.

        Raises:
            BusUnavailable: the bus, or the reader, did not come back in time.
            BodyTooLarge: the message is above 64 MiB.
        """
        if self.is_ended:
            raise RuntimeError("the answer has ended")
        if self._held is not None:
            held, self._held = self._held, None
            await self._send(held)
        if with_next and len(message) <= self._inline_limit:
            self._held = message
        else:
            await self._send(message)

    async def _send(self, message: bytes) -> None:
        if len(message) > self._inline_limit:
            claim = await self._claims.deposit(message)
            await self._ready()
            await self._emit(Frame(sequence=self._next, message=b""), claim=claim)
            return
        if self._settled_epoch != self._bus.epoch or not self._bus.client.is_connected:
            await self._ready()
        await self._emit(Frame(sequence=self._next, message=message), can_wait=True)

    async def accept(self) -> None:
        """Send the first frame."""
        await self._emit(Frame(sequence=self._next, accepted=Accepted(worker_id=self._worker_id)))

    async def end(self, outcome: bytes | LlmManagerError) -> None:
        """Send the terminal frame, once; later calls do nothing. Never raises: who cannot be told hears silence."""
        if self.is_ended:
            return
        self.is_ended = True
        try:
            body = outcome.detail if isinstance(outcome, LlmManagerError) else outcome
            claim = await self._claims.deposit(body) if len(body) > self._inline_limit else None
            await self._ready()
            if self._held is not None:
                held, self._held = self._held, None
                self._write(Frame(sequence=self._next, message=held))
            await self._emit(self._terminal(outcome, b"" if claim else body), claim=claim)
        except LlmManagerError as error:
            if isinstance(outcome, bytes) and not isinstance(error, BusUnavailable):
                # The result could not be sent, the failure can.
                self.is_ended = False
                await self.end(error)
                return
            log.warning("bus_answer_not_delivered", inbox=self._inbox, error=str(error))

    def refuse(self, refusal: LlmManagerError) -> None:
        """End an answer that has not begun, at once."""
        self.is_ended = True
        try:
            self._write(self._terminal(refusal, b""))
        except BusUnavailable as error:
            log.warning("bus_answer_not_delivered", inbox=self._inbox, error=str(error))

    def _terminal(self, outcome: bytes | LlmManagerError, body: bytes) -> Frame:
        if isinstance(outcome, LlmManagerError):
            return Frame(sequence=self._next, failed=Failed(error=to_proto(outcome), detail=body))
        return Frame(sequence=self._next, done=body)

    async def _emit(self, frame: Frame, *, claim: str | None = None, can_wait: bool = False) -> None:
        self._write(frame, claim=claim, can_wait=can_wait)
        if self._bus.client.is_choked:
            await self._bus.unchoked()

    def _write(self, frame: Frame, *, claim: str | None = None, can_wait: bool = False) -> None:
        # No suspension between taking the number and handing over to the client: heartbeats come from another task.
        can_wait = can_wait and self._next >= _FIRST_PATIENT_FRAME
        self._next += 1
        now = self._last_sent = self._loop.time()
        reply = ""
        if now - self._last_probe >= _PROBE_SECONDS:
            self._last_probe = now
            reply = self._probe
        headers = {CLAIM_CHECK: claim} if claim else None
        self._bus.send(self._inbox, frame.SerializeToString(), headers=headers, reply=reply, can_wait=can_wait)

    async def beat(self) -> bool:
        """Keep a silent answer alive, and find a reader again after a reconnect; False when it never came back.

        Called a few times per second by the responder.
        """
        if not self._bus.client.is_connected:
            return True
        now = self._loop.time()
        if self._settled_epoch != self._bus.epoch:
            return await self._settle(now)
        if not self.is_ended and now - self._last_sent >= HEARTBEAT_SECONDS:
            # being later than any probe's interval it carries the reply subject
            await self._emit(Frame(sequence=self._next, heartbeat=Heartbeat()))
        return True

    async def _settle(self, now: float) -> bool:
        # The accepted frame is sent again until it meets a reader: the reader has number 0 already and ignores it.
        epoch, asked = self._bus.epoch, self._reprobe
        if asked is not None and asked.epoch == epoch:
            if now - asked.at >= _REPROBE_SECONDS:
                self._settled_epoch, self._reprobe = epoch, None
            return True
        if now - self._bus.connected_at > _RESUME_SECONDS:
            return False
        self._reprobe = _Reprobe(epoch, now)
        probe = Frame(sequence=0, accepted=Accepted(worker_id=self._worker_id))
        await self._bus.publish(self._inbox, probe.SerializeToString(), reply=self._probe)
        return True

    def is_reader_gone(self, reply: Message) -> bool:
        """Judge the reply to a probe: True when the reader is gone for good."""
        if self._settled_epoch == self._bus.epoch:
            return True
        if reply.headers is not None and reply.headers.get(STATUS) == NO_RESPONDERS:
            # Nobody listens yet; ask again.
            self._reprobe = None
            return False
        return True

    async def _ready(self) -> None:
        if self._settled_epoch == self._bus.epoch and self._bus.client.is_connected:
            return
        until = self._loop.time() + _RESUME_SECONDS
        if not await self._bus.wait_connected(_RESUME_SECONDS):
            raise self._bus.unavailable()
        while self._settled_epoch != self._bus.epoch or not self._bus.client.is_connected:
            if self._loop.time() >= until:
                raise BusUnavailable("The reader of the answer did not come back after the bus was away.")
            await asyncio.sleep(_RESUME_POLL_SECONDS)
