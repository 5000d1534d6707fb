"""One call from admission to its end: events, attempt, accounting of what a lost worker cannot account for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from llm_manager.core.errors import (
    BusUnavailable,
    DeadlineExceeded,
    InvalidRequest,
    LlmManagerError,
    NoWorker,
    RequestCancelled,
    WorkerLost,
)
from llm_manager.core.facts import Capability, Facts
from llm_manager.core.ids import uuid7
from llm_manager.core.messages import ChatInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.client import Answer, WorkerClient
from llm_manager.gateway.inference.events import InferenceEvents, LostAttempt, LostAttempts
from llm_manager.gateway.inference.profile import check_capabilities, check_size, may_lack
from llm_manager.gateway.inference.rules import Call, NativeBody, Operation, Outcome, Piece, Target, estimated_report
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.names import infer_subject
from llm_manager.kit.bus.requests import Ending

NOTHING = UsageReport(Usage(), UsageSource.NONE)
# After these nobody but the gateway knows that the attempt was made.
_LOST = (WorkerLost, DeadlineExceeded, BusUnavailable)


class Run:
    """One call under way. `output_characters` is kept by whoever renders the answer."""

    def __init__(self, call: Call, answer: Answer, *, attempts: int) -> None:
        self.call = call
        self.attempts = attempts
        self.output_characters = 0
        self.first_piece_at: float | None = None
        self._answer = answer
        self._outcome: Outcome | None = None

    @property
    def worker_id(self) -> str:
        """The worker that accepted the attempt; empty when none has."""
        return self._answer.worker_id

    @property
    def ending(self) -> asyncio.Future[Ending] | None:
        """How the worker ends the attempt, where it was left before its end."""
        return self._answer.ending

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield the answer as it comes."""
        async for piece in self._answer.pieces():
            if self.first_piece_at is None:
                self.first_piece_at = time.monotonic()
            yield piece

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield the answer as messages of the contract (infer_pb2.Chunk), for callers that speak it themselves."""
        async for message in self._answer.messages():
            if self.first_piece_at is None:
                self.first_piece_at = time.monotonic()
            yield message

    @property
    def done(self) -> bytes:
        """What the worker said at the end (infer_pb2.Done). Only after the last piece."""
        return self._answer.done

    @property
    def outcome(self) -> Outcome:
        """What the call used and cost. Only after the last piece."""
        if self._outcome is None:
            self._outcome = self._answer.outcome()
        return self._outcome


class Inference:
    """The use case of every ingress."""

    def __init__(
        self,
        client: WorkerClient,
        events: InferenceEvents,
        lost: LostAttempts,
        *,
        facts: Callable[[str], Facts | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._events = events
        self._lost = lost
        self._facts = facts
        self._clock = clock

    def speaks(self, target: Target, dialect: str) -> bool:
        """Whether a provider speaks a dialect itself for a model, so that bodies go through unchanged."""
        if target.dialects is not None:
            return dialect in target.dialects
        facts = self._facts(target.kind)
        return facts is not None and facts.speaks(dialect, model=target.upstream_model)

    def accepted_headers(self, target: Target) -> tuple[str, ...]:
        """Return names of headers of clients that a provider gets beside a body in its own dialect."""
        facts = self._facts(target.kind)
        return facts.headers.accept if facts is not None else ()

    def offers(self, kind: str, operation: Operation) -> bool:
        """Whether a provider kind has an operation; a kind that is not known here is asked."""
        facts = self._facts(kind)
        return facts is None or operation in facts.operations

    def check_operation(self, call: Call) -> None:
        """Raise InvalidRequest when the provider has no such operation."""
        if not self.offers(call.target.kind, call.operation):
            title = facts.title if (facts := self._facts(call.target.kind)) else call.target.kind
            raise InvalidRequest(f"{title} has no {call.operation}; choose a model of another provider.", param="model")

    def check_profile(self, call: Call, chat: Callable[[], ChatInput], *, prompt_tokens: Callable[[], int]) -> None:
        """Refuse a chat that its model cannot do or hold, before any provider is asked.

        Args:
            chat: the chat in neutral words; asked only where a limit is known that it might break.
            prompt_tokens: an estimate of the prompt; asked only when a context window is known.

        Raises:
            UnsupportedParameter, InvalidRequest.
        """
        profile, facts = call.target.profile, self._facts(call.target.kind)
        known = profile.capabilities or (frozenset(facts.capabilities) if facts else None)
        if known is not None and self._is_worth_checking(call, known):
            check_capabilities(chat(), known, model=call.requested_model, is_stream=call.is_stream)
        if profile.max_output_tokens is not None or profile.context_window is not None:
            max_tokens = chat().sampling.max_tokens
            check_size(profile, model=call.requested_model, max_tokens=max_tokens, prompt_tokens=prompt_tokens)

    @staticmethod
    def _is_worth_checking(call: Call, capabilities: frozenset[Capability]) -> bool:
        asked = call.input
        if not isinstance(asked, NativeBody) or call.target.profile.capabilities is not None:
            return True
        # OpenAI's dialect is spoken by providers that lack much of it; of the others each is its own dialect's master
        return asked.dialect == "openai_chat" and may_lack(asked.body, capabilities)

    @asynccontextmanager
    async def run(self, call: Call, *, input_characters: Callable[[], int]) -> AsyncGenerator[Run]:
        """Make a call; leaving early cancels it at the worker.

        Args:
            input_characters: counts the prompt; asked only when an attempt was lost.
        Raises:
            LlmManagerError: out of entering and out of the pieces.
        """
        self.check_operation(call)
        began, started_at, error_code, run, report = time.monotonic(), self._clock(), "", None, None
        attempt_id = uuid7()
        in_flight = names.labelled(names.REQUESTS_IN_FLIGHT, call.operation)
        in_flight.inc()
        await self._events.started(call, attempt_id=attempt_id, at=started_at)
        try:
            with telemetry.span(
                names.SPAN_BUS_REQUEST, kind=telemetry.SpanKind.PRODUCER, attributes=_attributes(call, attempt_id)
            ) as span:
                async with self._client.attempt(call, attempt_id=attempt_id, number=1) as answer:
                    run = Run(call, answer, attempts=1)
                    yield run
                    if span.is_recording():
                        span.set_attributes(_used(run))
        except LlmManagerError as error:
            error_code = error.code
            report = _unaccounted(run, error, input_characters)
            if report is not None:
                duration_ms = _milliseconds(began)
                self._lost.record(LostAttempt(call, attempt_id, 1, started_at, duration_ms, report, error_code))
            raise
        except asyncio.CancelledError:
            error_code = RequestCancelled.code
            raise
        except BaseException:
            error_code = "internal_error"
            raise
        finally:
            in_flight.dec()
            _observe(call, run, began, error_code)
            if report is None and run is not None and run.ending is not None:
                self._lost.record_unless_ended(
                    run.ending,
                    LostAttempt(call, attempt_id, 1, started_at, _milliseconds(began), NOTHING, error_code),
                    spent=_spent(run, input_characters),
                )
            await self._events.completed(
                call, at=self._clock(), error_code=error_code, attempts=1, duration_ms=_milliseconds(began)
            )


def _unaccounted(run: Run | None, error: LlmManagerError, input_characters: Callable[[], int]) -> UsageReport | None:
    """Return what an attempt used that no worker accounts for; None when one does, or when nobody was told of it."""
    is_refused = run is not None and not run.worker_id and not isinstance(error, _LOST)
    if is_refused or isinstance(error, NoWorker) or (run is None and not isinstance(error, BusUnavailable)):
        # It was said to start and nobody took it, so nobody else can say that it cost nothing.
        return NOTHING
    if run is not None and run.worker_id and isinstance(error, _LOST) and not error.detail:
        return estimated_report(input_characters=input_characters(), output_characters=run.output_characters)
    return None


def _spent(run: Run, input_characters: Callable[[], int]) -> Callable[[], UsageReport] | None:
    """Return what tells what an attempt used that was left; None where no worker is known to have had it."""
    if not run.worker_id:
        return None
    return lambda: estimated_report(input_characters=input_characters(), output_characters=run.output_characters)


def _milliseconds(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _attributes(call: Call, attempt_id: str) -> dict[str, str | int | bool]:
    return {
        names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
        names.MESSAGING_DESTINATION_NAME: infer_subject(call.target.kind),
        names.GEN_AI_OPERATION_NAME: call.operation,
        names.GEN_AI_PROVIDER_NAME: call.target.kind,
        names.GEN_AI_REQUEST_MODEL: call.target.upstream_model,
        names.GEN_AI_REQUEST_STREAM: call.is_stream,
        names.REQUEST_ID: call.request_id,
        names.ATTEMPT_ID: attempt_id,
        names.APP_ID: call.caller.app_id,
    }


def _used(run: Run) -> dict[str, str | int]:
    outcome = run.outcome
    usage, total = outcome.report.usage, outcome.cost.total_picousd
    attributes: dict[str, str | int] = {
        names.WORKER_ID: run.worker_id,
        names.GEN_AI_USAGE_INPUT_TOKENS: usage.input_total,
        names.GEN_AI_USAGE_OUTPUT_TOKENS: usage.output_total,
        names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cache_read,
        names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.output_reasoning,
    }
    if outcome.response_model:
        attributes[names.GEN_AI_RESPONSE_MODEL] = outcome.response_model
    if total is not None:
        attributes[names.COST_PICOUSD] = total
    return attributes


def _observe(call: Call, run: Run | None, began: float, error_code: str) -> None:
    model = call.target.configuration or names.OTHER_MODEL
    labels = (call.operation, call.target.kind, model)
    names.labelled(names.GEN_AI_SERVER_REQUEST_DURATION, *labels, error_code).observe(time.monotonic() - began)
    if call.is_stream and not error_code and run is not None and run.first_piece_at is not None:
        names.labelled(names.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN, *labels).observe(run.first_piece_at - began)
