"""Requests that were given up before their end: what their workers still say about them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from llm_manager.contracts.bus.v1.frame_pb2 import Cancel, Frame
from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.frame_stream import Ending
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import CLAIM_CHECK, INBOX, NO_RESPONDERS, STATUS, cancel_subject

# An acceptance that comes later than this comes from a worker that will notice the silence of the inbox by itself.
_UNACCEPTED_SECONDS = 10.0


@dataclass(slots=True)
class _Leaving:
    request_id: str
    is_accepted: bool
    ending: asyncio.Future[Ending]
    timer: asyncio.TimerHandle


class Leavings:
    """Kept until the worker has ended them, or for `silence_seconds` after its last word."""

    def __init__(self, bus: Bus, *, silence_seconds: float) -> None:
        self._bus = bus
        self._silence_seconds = silence_seconds
        self._leavings: dict[str, _Leaving] = {}

    def add(self, token: str, request_id: str, *, is_accepted: bool) -> asyncio.Future[Ending]:
        """Wait for the last words about a request; return what will tell them."""
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[Ending] = loop.create_future()
        seconds = self._silence_seconds if is_accepted else _UNACCEPTED_SECONDS
        timer = loop.call_later(seconds, self._end, token, Ending.UNKNOWN)
        self._leavings[token] = _Leaving(request_id, is_accepted, ending, timer)
        return ending

    def take(self, token: str, message: Message) -> None:
        """Take a message of an inbox that nobody reads any more."""
        leaving = self._leavings.get(token)
        if leaving is None:
            return
        headers = message.headers or {}
        if not message.data and headers.get(STATUS) == NO_RESPONDERS:
            self._end(token, Ending.UNBEGUN)
            return
        with suppress(DecodeError):
            frame = Frame.FromString(message.data)
            match frame.WhichOneof("body"):
                case "accepted":
                    self._cancel(token, leaving, frame.accepted.worker_id, message.subject)
                case "done":
                    self._end(token, Ending.ACCOUNTED)
                case "failed":
                    is_accounted = bool(frame.failed.detail or headers.get(CLAIM_CHECK))
                    self._end(token, Ending.ACCOUNTED if is_accounted else Ending.UNBEGUN)
                case _:
                    self._wait_on(token, leaving)

    def clear(self) -> None:
        """Wait for nothing any more."""
        for token in list(self._leavings):
            self._end(token, Ending.UNKNOWN)

    def _cancel(self, token: str, leaving: _Leaving, worker_id: str, inbox: str) -> None:
        """Cancel a request at the worker that accepted it just after it was given up."""
        if leaving.is_accepted:
            return
        leaving.is_accepted = True
        self._wait_on(token, leaving)
        cancel = Cancel(request_id=leaving.request_id, reason="client_disconnected")
        with suppress(BusUnavailable):
            self._bus.send(cancel_subject(worker_id), cancel.SerializeToString(), headers={INBOX: inbox})

    def _wait_on(self, token: str, leaving: _Leaving) -> None:
        leaving.timer.cancel()
        loop = asyncio.get_running_loop()
        leaving.timer = loop.call_later(self._silence_seconds, self._end, token, Ending.UNKNOWN)

    def _end(self, token: str, ending: Ending) -> None:
        leaving = self._leavings.pop(token, None)
        if leaving is None:
            return
        leaving.timer.cancel()
        if not leaving.ending.done():
            leaving.ending.set_result(ending)
