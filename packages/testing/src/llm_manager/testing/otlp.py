"""An OTLP/HTTP collector for tests: takes traces on a free port and keeps them decoded."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

Value = str | int | float | bool | list["Value"] | None


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """One exported span; ids in hex, `parent_id` empty for a root."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    is_failed: bool
    attributes: dict[str, Value]
    seconds: float


Condition = Callable[[list[CollectedSpan]], bool]


class OtlpCollector:
    """What services exported so far. Metrics and logs are taken and dropped."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.bodies: list[bytes] = []
        self._spans: list[CollectedSpan] = []
        self._changed = threading.Condition()

    @property
    def spans(self) -> list[CollectedSpan]:
        """Every span so far, in the order of arrival."""
        with self._changed:
            return list(self._spans)

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of one name."""
        return [span for span in self.spans if span.name == name]

    def trace(self, trace_id: str) -> list[CollectedSpan]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, condition: Condition, *, timeout_seconds: float) -> list[CollectedSpan]:
        """Return the spans as soon as the condition holds for them; call it in a thread, it blocks.

        Raises:
            TimeoutError: it did not hold in time; the message lists the names that came.
        """
        until = time.monotonic() + timeout_seconds
        with self._changed:
            while not condition(list(self._spans)):
                if not self._changed.wait(until - time.monotonic()):
                    names = sorted(f"{span.service}: {span.name}" for span in self._spans)
                    raise TimeoutError(f"The expected spans did not come within {timeout_seconds:g} s, only {names}.")
            return list(self._spans)

    def take(self, body: bytes) -> None:
        """Decode one export request and keep its spans."""
        request = ExportTraceServiceRequest.FromString(body)
        spans = list(_spans_of(request))
        with self._changed:
            self.bodies.append(body)
            self._spans.extend(spans)
            self._changed.notify_all()


@contextmanager
def otlp_collector() -> Generator[OtlpCollector]:
    """Run a collector while the body runs; give `collector.endpoint` to services as their OTLP endpoint.

    It runs in a thread of its own, so that exporters of this process can reach it while the test's loop waits.
    """
    collector = OtlpCollector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                collector.take(body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
            """Say nothing: test output is for failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _spans_of(request: ExportTraceServiceRequest) -> Iterable[CollectedSpan]:
    for resource in request.resource_spans:
        service = str(_attributes(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield CollectedSpan(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=span.kind,
                    is_failed=span.status.code == Status.STATUS_CODE_ERROR,
                    attributes=_attributes(span.attributes),
                    seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bool_value":
            return value.bool_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return None
