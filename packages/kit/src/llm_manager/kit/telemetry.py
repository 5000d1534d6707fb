"""Tracing: set-up, spans, and trace context across HTTP, NATS and gRPC.

Off unless an OTLP endpoint is set; then `span` yields a no-op. Spans never hold texts of
prompts, answers or exceptions: a failed span says only which error (`error.type`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Mapping, MutableMapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracer, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from llm_manager.core.errors import LlmManagerError
from llm_manager.kit import telemetry_names as names

if TYPE_CHECKING:
    # 30 ms and 2 MB, which a process without tracing need not pay
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

__all__ = [
    "Context",
    "Span",
    "SpanKind",
    "Tracing",
    "current_trace",
    "extract",
    "inject",
    "setup",
    "shutdown",
    "span",
    "tracer",
]

Attributes = Mapping[str, AttributeValue]

# Spans wait in memory for the exporter; what does not fit is dropped, never the request that made it.
_MAX_QUEUE, _MAX_BATCH, _SCHEDULE_MS, _EXPORT_TIMEOUT_SECONDS = 4096, 512, 1000, 5.0
_FLUSH_SECONDS = 5.0
_propagator = TraceContextTextMapPropagator()
_NO_TRACER = NoOpTracer()


class Tracing:
    """The process's tracer: a no-op until `setup`, and again after `shutdown`.

    OpenTelemetry's own global provider can be set only once in a process, which tests that enter several services
    cannot live with; so this object is the one global.
    """

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None
        self._tracer: Tracer = _NO_TRACER

    @property
    def is_enabled(self) -> bool:
        return self._provider is not None

    def use(self, provider: TracerProvider | None) -> TracerProvider | None:
        """Switch to a provider, None for off; return the former one, which the caller shuts down."""
        former, self._provider = self._provider, provider
        self._tracer = _NO_TRACER if provider is None else provider.get_tracer("llm_manager")
        return former

    def start_span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        context: Context | None = None,
        links: tuple[Link, ...] = (),
    ) -> Span:
        """Start a span that does not become the current one; the caller ends it, for example when a stream ends."""
        if self._provider is None:
            # a trace that a caller started is handed on, also where this process records nothing
            return trace.get_current_span(context)
        return self._tracer.start_span(name, kind=kind, attributes=attributes, context=context, links=links)


tracer = Tracing()


def setup(service: str, *, otlp_endpoint: str, processor: SpanProcessor | None = None) -> None:
    """Switch tracing on when an endpoint (base URL, for example http://127.0.0.1:4318) is given, else off.

    Args:
        service: `service.name` of every span.
        processor: takes the spans instead of an exporter; for tests.
    """
    former: TracerProvider | None
    if processor is None and otlp_endpoint:
        processor = _otlp_processor(otlp_endpoint)
    if processor is None:
        former = tracer.use(None)
    else:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        resource = Resource.create({"service.name": service, "service.namespace": "llm_manager"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        former = tracer.use(provider)
    if former is not None:
        former.shutdown()


async def shutdown() -> None:
    """Send what is queued, for five seconds at most, and switch tracing off. Idempotent."""
    former = tracer.use(None)
    if former is None:
        return
    done: Future[None] = Future()

    def flush() -> None:
        done.set_running_or_notify_cancel()
        former.shutdown()
        done.set_result(None)

    # A thread of our own: at the loop's end asyncio waits for its own threads, and a collector that does not answer
    # holds the exporter for five seconds a batch.
    threading.Thread(target=flush, name="telemetry-flush", daemon=True).start()
    await asyncio.wait({asyncio.wrap_future(done)}, timeout=_FLUSH_SECONDS)


class _NoSpan(AbstractContextManager[Span]):
    """Where nothing is recorded, the current context is as it was."""

    def __enter__(self) -> Span:
        return trace.INVALID_SPAN

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return


_NO_SPAN = _NoSpan()


def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    context: Context | None = None,
) -> AbstractContextManager[Span]:
    """Run the body inside a span that is the current one. An exception marks it failed, by type only.

    Args:
        context: parent of the span, as `extract` returns it; the current span when None.
    """
    if not tracer.is_enabled and not context:
        return _NO_SPAN
    return _span(name, kind=kind, attributes=attributes, context=context)


@contextmanager
def _span(name: str, *, kind: SpanKind, attributes: Attributes | None, context: Context | None) -> Generator[Span]:
    opened = tracer.start_span(name, kind=kind, attributes=attributes, context=context)
    token = otel_context.attach(trace.set_span_in_context(opened, context))
    try:
        yield opened
    except BaseException as error:
        mark_failed(opened, error)
        raise
    finally:
        otel_context.detach(token)
        if tracer.is_enabled:
            opened.end()


def mark_failed(opened: Span, error: BaseException) -> None:
    """Say on a span which error ended it: the code of our tree, or the class. Its message may quote a prompt."""
    if opened.is_recording():
        code = error.code if isinstance(error, LlmManagerError) else type(error).__qualname__
        opened.set_attribute(names.ERROR_TYPE, code)
        opened.set_status(Status(StatusCode.ERROR))


def inject(headers: MutableMapping[str, str], context: Context | None = None) -> None:
    """Add `traceparent` (and `tracestate`) of the current span to headers of HTTP, NATS or gRPC."""
    if context is not None or otel_context.get_current():
        _propagator.inject(headers, context)


def extract(headers: Mapping[str, str] | None) -> Context:
    """Return the context that headers carry; an empty one when they carry none. Names must be in lower case."""
    if not headers or "traceparent" not in headers:
        return Context()
    return _propagator.extract(headers, Context())


def current_trace() -> tuple[str, str] | None:
    """Return trace id and span id of the current span in hex, None outside of a trace."""
    if not otel_context.get_current():
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def _otlp_processor(endpoint: str) -> SpanProcessor:
    # imported here: the exporter brings requests and its protobufs, which a process without tracing need not load
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_SECONDS)
    return BatchSpanProcessor(
        exporter, max_queue_size=_MAX_QUEUE, max_export_batch_size=_MAX_BATCH, schedule_delay_millis=_SCHEDULE_MS
    )
