"""A streamed response out of neutral steps: events with dense numbers, ended by the whole response.

Its writer knows the response once it has ended (`final`), so that it can be stored before the client hears of the end
and goes on from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import msgspec

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.gateway.ingress.responses.answer import Members, Output
from llm_manager.gateway.ingress.responses.errors import error_event, failure
from llm_manager.gateway.ingress.responses.shape import Shape, key_of, usage_of
from llm_manager.gateway.ingress.writer import AnswerWriter
from llm_manager.kit.sse import comment, data_event

PING = comment("ping")


class EndedWriter(AnswerWriter, Protocol):
    """A writer that knows the response at its end."""

    @property
    def final(self) -> bytes | None:
        """The ended response as JSON; None before its end."""
        ...

    def unstored(self, data: bytes) -> bytes:
        """Return what was just written, with the ended response saying that it is not stored."""
        ...


class Answer:
    """One answer in neutral steps on its way to a response, whole or streamed.

    Args:
        is_stored: what the response says about itself.
    """

    def __init__(
        self, shape: Shape, *, with_cost: bool, is_stored: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self.shape = shape
        self.is_stored = is_stored
        self._with_cost = with_cost
        self._clock = clock
        self._output = Output(key_of(shape.id))

    def add(self, piece: Piece) -> list[Members]:
        """Take the next piece; return the events of the change."""
        if piece.info is not None:
            self.shape = _described(self.shape, piece.info)
        return self._output.add(piece.deltas)

    def begun(self) -> Members:
        """Return the response before it has any output."""
        return self.shape.body("in_progress", [], is_stored=self.is_stored)

    def ended(self, outcome: Outcome) -> Members:
        """Return the response at its good end.

        Raises:
            UpstreamProtocolError: the provider did not say that the answer is over.
        """
        output = self._output
        if output.finish is None:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        reason = output.incomplete_reason
        return self.shape.body(
            "completed" if reason is None else "incomplete",
            output.items(),
            usage=usage_of(outcome, with_cost=self._with_cost),
            incomplete_reason=reason,
            completed_at=int(self._clock()) if reason is None else None,
            is_stored=self.is_stored,
        )

    def failed(self, error: LlmManagerError) -> tuple[list[Members], Members]:
        """Return the events that close what was open, and the response as it broke off."""
        closing = [] if self._output.finish is not None else self._output.close(is_whole=False)
        return closing, self.shape.body("failed", self._output.items(), error=failure(error), is_stored=self.is_stored)


def _described(shape: Shape, info: AnswerInfo) -> Shape:
    return replace(shape, model=info.model or shape.model, service_tier=info.service_tier or shape.service_tier)


class ResponseEvents:
    """Writes neutral steps. The first event goes out with the first step, so that an error before it has a status."""

    media_type = EVENT_STREAM

    def __init__(self, answer: Answer) -> None:
        self.ping = PING
        self.final: bytes | None = None
        self._answer = answer
        self._number = 0
        self._last: tuple[bytes, Members] = (b"", {})

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        events = self._answer.add(piece)
        return self._opened(is_due=bool(piece.deltas)) + b"".join(map(self._event, events))

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        response = self._answer.ended(outcome)
        return self._opened(is_due=True) + self._end(f"response.{response['status']}", response)

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG002 # it is in the headers
        """See `writer.AnswerWriter`."""
        opened = self._opened(is_due=True)
        closing, response = self._answer.failed(error)
        closed = b"".join(map(self._event, closing))
        told = self._event(error_event(error, sequence_number=self._number))
        return opened + closed + told + self._end("response.failed", response)

    def unstored(self, data: bytes) -> bytes:
        """See `EndedWriter`."""
        frame, event = self._last
        response: object = event.get("response")
        if not frame or not isinstance(response, dict):
            return data
        changed = msgspec.json.encode({**event, "response": {**response, "store": False}})
        return data.replace(frame, data_event(changed, event=str(event["type"])))

    def _opened(self, *, is_due: bool) -> bytes:
        if self._number or not is_due:
            return b""
        response = self._answer.begun()
        kinds = ("response.created", "response.in_progress")
        return b"".join(self._event({"type": kind, "response": response}) for kind in kinds)

    def _end(self, kind: str, response: Members) -> bytes:
        self.final = msgspec.json.encode(response)
        event: Members = {"type": kind, "sequence_number": self._number, "response": response}
        frame = self._event(event)
        self._last = (frame, event)
        return frame

    def _event(self, members: Members) -> bytes:
        kind = str(members["type"])
        event = msgspec.json.encode({"type": kind, "sequence_number": self._number, **members})
        self._number += 1
        return data_event(event, event=kind)
