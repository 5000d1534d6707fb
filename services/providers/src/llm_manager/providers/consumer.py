"""Takes requests from the bus, makes the attempt, and records it before it says that it is over."""

from __future__ import annotations

import asyncio

import structlog

from llm_manager.contracts.inference.v1 import infer_pb2
from llm_manager.contracts.usage.v1.event_pb2 import UsageRecorded
from llm_manager.core.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    InternalError,
    LlmManagerError,
    RequestCancelled,
    UpstreamProtocolError,
    WorkerLost,
)
from llm_manager.core.usage import FREE_OPERATIONS, UsageReport
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.bus.responder import FrameSink, IncomingRequest
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.job import Job, Outcome
from llm_manager.providers.messages_in import job_of, read_request
from llm_manager.providers.messages_out import chunk_of, done_of, event_of, least_event_of
from llm_manager.providers.metrics import EVENTS_INCOMPLETE
from llm_manager.providers.price_book import CurrentPrices
from llm_manager.providers.recorder import Recorder
from llm_manager.providers.service import Emit, Inference

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Consumer:
    """Handles requests of `llm.v1.infer.<kind>`."""

    def __init__(self, inference: Inference, recorder: Recorder, prices: CurrentPrices) -> None:
        self._inference = inference
        self._recorder = recorder
        self._prices = prices

    async def handle(self, incoming: IncomingRequest, sink: FrameSink) -> bytes:
        """Answer one request; the interface of `kit.bus.responder.Handler`.

        Every attempt yields exactly one event, however it ends; a failure carries its Done as detail.
        """
        request = read_request(incoming.payload)
        job = job_of(request)
        structlog.contextvars.bind_contextvars(
            request_id=request.attribution.request_id, attempt_id=request.attribution.attempt_id
        )
        attributes = {
            names.REQUEST_ID: request.attribution.request_id,
            names.ATTEMPT_ID: request.attribution.attempt_id,
            names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
            names.MESSAGING_DESTINATION_NAME: incoming.subject,
        }
        with telemetry.span(
            names.SPAN_BUS_PROCESS,
            kind=telemetry.SpanKind.CONSUMER,
            attributes=attributes,
            context=telemetry.extract(incoming.headers),
        ):
            return await self._attempt(incoming, request.attribution, job, sink)

    async def _attempt(
        self, incoming: IncomingRequest, attribution: infer_pb2.Attribution, job: Job, sink: FrameSink
    ) -> bytes:
        outcome = Outcome()
        opening = outcome if job.is_stream else None
        told = 0

        async def emit(pieces: Pieces) -> None:
            nonlocal opening, told
            outcome.note_identity(pieces)
            written = outcome.reader.written.characters if outcome.reader is not None else told
            message = chunk_of(pieces, characters=written - told, opening=opening)
            told = written
            try:
                await sink.send(message, with_next=not job.is_stream)
            except BodyTooLarge as error:
                # As it stands it would tell the client that its request was too large.
                raise UpstreamProtocolError(
                    f"A part of the answer of {job.target.kind} is too large: {error}"
                ) from error
            opening = None

        try:
            await self._call_upstream(job, outcome, emit)
        except asyncio.CancelledError:
            outcome.fail(_withdrawn(incoming.cancel_reason))
        except LlmManagerError as error:
            outcome.fail(error)
        except Exception as error:
            # Whatever went wrong, money may have been spent: the attempt is recorded before the failure is reported.
            outcome.fail(InternalError("The worker failed; its log of this request says more."))
            log.exception("attempt_failed", kind=job.target.kind, error_type=type(error).__name__)
        outcome.end()
        # whatever comes now is too late to change anything
        incoming.is_settling = True
        detail = await self._settle(attribution, job, outcome)
        if outcome.error is not None:
            outcome.error.detail = detail
            raise outcome.error
        return detail

    async def _call_upstream(self, job: Job, outcome: Outcome, emit: Emit) -> None:
        name = names.span_of_inference(job.operation, job.target.upstream_model)
        attributes: dict[str, str | bool] = {
            names.GEN_AI_OPERATION_NAME: job.operation,
            names.GEN_AI_PROVIDER_NAME: job.target.kind,
            names.GEN_AI_REQUEST_MODEL: job.target.upstream_model,
            names.GEN_AI_REQUEST_STREAM: job.is_stream,
        }
        with telemetry.span(name, kind=telemetry.SpanKind.CLIENT, attributes=attributes) as span:
            try:
                await self._inference.run(job, outcome, emit)
            finally:
                if span.is_recording():
                    _describe(span, outcome)

    async def _settle(self, attribution: infer_pb2.Attribution, job: Job, outcome: Outcome) -> bytes:
        """Record the attempt and return its Done."""
        event: UsageRecorded | None = None
        report = outcome.report()
        if job.operation not in FREE_OPERATIONS and attribution.attempt_id:
            event = self._event(attribution, job, outcome, report)
            await self._recorder.record(event)
        _measure(job, outcome, report, model=self._label_of(attribution, job))
        if outcome.error is not None:
            # a good one is told by the gateway's line and by the ledger's row
            log.info(
                "attempt_ended",
                kind=job.target.kind,
                upstream_model=job.target.upstream_model,
                state=outcome.state.value,
                error_code=outcome.error.code,
                upstream_status=outcome.status,
                duration_ms=round(outcome.duration_seconds * 1000),
                usage_source=report.source.value,
            )
        return done_of(event, outcome)

    def _label_of(self, attribution: infer_pb2.Attribution, job: Job) -> str:
        """Return the model's name for metrics: one that an administrator or the price book wrote, else `other`."""
        model = job.target.upstream_model
        is_known = bool(attribution.configuration) or self._prices.book.lists(job.target.kind, model)
        return model if is_known else names.OTHER_MODEL

    def _event(
        self, attribution: infer_pb2.Attribution, job: Job, outcome: Outcome, report: UsageReport
    ) -> UsageRecorded:
        """Return the attempt's row. Nothing that a provider or a client wrote may cost the row itself."""
        try:
            cost = outcome.cost(self._prices.book, job.target, report)
            return event_of(attribution, job, outcome, report=report, cost=cost)
        except Exception:
            EVENTS_INCOMPLETE.inc()
            log.exception("usage_event_incomplete", kind=job.target.kind)
            return least_event_of(attribution, job, outcome)


def _withdrawn(reason: str | None) -> LlmManagerError:
    """Return the error of a cancelled attempt; only a withdrawn request counts as cancelled in the ledger."""
    match reason:
        case "deadline_exceeded":
            return DeadlineExceeded("The time for the whole request was over; the worker stopped.")
        case "shutdown":
            return WorkerLost("The worker shut down before the answer was complete; retry.")
        case _:
            return RequestCancelled(f"The request was cancelled ({reason or 'by the worker'}).")


def _describe(span: telemetry.Span, outcome: Outcome) -> None:
    report = outcome.report()
    span.set_attribute(names.GEN_AI_USAGE_INPUT_TOKENS, report.usage.input_total)
    span.set_attribute(names.GEN_AI_USAGE_OUTPUT_TOKENS, report.usage.output_total)
    if outcome.status:
        span.set_attribute(names.HTTP_RESPONSE_STATUS_CODE, outcome.status)
    reader = outcome.reader
    if reader is not None and reader.response_model:
        span.set_attribute(names.GEN_AI_RESPONSE_MODEL, reader.response_model)
    if reader is not None and reader.finish_reason:
        span.set_attribute(names.GEN_AI_RESPONSE_FINISH_REASONS, [reader.finish_reason])
    if outcome.first_token_seconds is not None:
        span.set_attribute(names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, outcome.first_token_seconds)


def _measure(job: Job, outcome: Outcome, report: UsageReport, *, model: str) -> None:
    call = (job.operation, job.target.kind, model)
    error_type = outcome.error.code if outcome.error else ""
    names.labelled(names.GEN_AI_CLIENT_OPERATION_DURATION, *call, error_type).observe(outcome.duration_seconds)
    if outcome.first_token_seconds is not None:
        names.labelled(names.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, *call).observe(outcome.first_token_seconds)
    if report.usage.input_total or report.usage.output_total:
        tokens = names.GEN_AI_CLIENT_TOKEN_USAGE
        names.labelled(tokens, *call, names.TOKEN_INPUT).observe(report.usage.input_total)
        names.labelled(tokens, *call, names.TOKEN_OUTPUT).observe(report.usage.output_total)
