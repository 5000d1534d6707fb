"""The one middleware: request id, drain, errors, span, log line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_manager.core.errors import Draining, InternalError, LlmManagerError, RequestCancelled
from llm_manager.gateway.errors import Headers, error_headers
from llm_manager.gateway.http.error_shapes import ErrorRule, shape_of
from llm_manager.gateway.http.exchange import Exchange, attach
from llm_manager.gateway.http.forwarded import TrustedProxies
from llm_manager.kit import logs, telemetry
from llm_manager.kit import telemetry_names as names

log = structlog.stdlib.get_logger("gateway")

_UNKNOWN_ROUTE = "unknown"
_OPEN_WHILE_DRAINING = ("/healthz",)


class Edge:
    """Wraps the application, outermost of ours.

    Every failure of the tree becomes a body in the shape of the client's dialect, as long as no byte of the answer was
    sent. A client that went away is logged as 499 and answered with nothing.

    Args:
        proxies: who may say for whom they send a request; None: nobody.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain: Drain,
        rules: Sequence[ErrorRule] = (),
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._app = app
        self._drain = drain
        self._rules = rules
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope["headers"])
        attach(scope, exchange)
        with self._drain.counted():
            if not telemetry.tracer.is_enabled:
                await self._answer(scope, receive, send, exchange)
            else:
                await self._answer_traced(scope, receive, send, exchange)
        _report(scope, exchange)

    async def _answer_traced(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        # without url.path: ids of paths are what callers type, at times a key; http.route says the rest
        attributes = {names.HTTP_REQUEST_METHOD: scope["method"], names.REQUEST_ID: exchange.request_id}
        context = telemetry.extract(_texts(scope))
        with telemetry.span(
            scope["method"], kind=telemetry.SpanKind.SERVER, attributes=attributes, context=context
        ) as span:
            await self._answer(scope, receive, send, exchange)
            route = _route(scope)
            span.update_name(names.span_of_http(scope["method"], route))
            span.set_attribute(names.HTTP_ROUTE, route)
            span.set_attribute(names.HTTP_RESPONSE_STATUS_CODE, exchange.status)
            if exchange.call is not None:
                span.set_attribute(names.APP_ID, exchange.call.caller.app_id)
            if exchange.error_code:
                span.set_attribute(names.ERROR_TYPE, exchange.error_code)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        request_id = exchange.request_id.encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers: Headers = message.setdefault("headers", [])
                message["headers"] = [*headers, (b"x-request-id", request_id), (b"request-id", request_id)]
            await send(message)

        try:
            if scope["path"] not in _OPEN_WHILE_DRAINING:
                self._drain.check()
            if self._proxies is not None:
                self._proxies.place(scope)
            if scope["method"] == "HEAD":
                await self._answer_head(scope, receive, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        except RequestCancelled as error:
            # mostly nobody is there to read it, but whoever is must not wait for more
            await self._fail(error, scope, exchange, send_with_id)
            exchange.status = error.http_status
        except LlmManagerError as error:
            await self._fail(error, scope, exchange, send_with_id)
        except asyncio.CancelledError:
            exchange.error_code = RequestCancelled.code
            raise
        except Exception:
            # the process must survive whatever a request triggers; the log has the details, the client gets none
            log.exception("request_failed", request_id=exchange.request_id, path=scope["path"])
            failure = InternalError("The gateway failed; its log of this request id says more.")
            await self._fail(failure, scope, exchange, send_with_id)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        # FastAPI's routes for GET refuse HEAD; the server below leaves the body out
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send)
        finally:
            if "route" in as_get:
                scope["route"] = as_get["route"]

    async def _fail(self, error: LlmManagerError, scope: Scope, exchange: Exchange, send: Send) -> None:
        exchange.error_code = error.code
        if exchange.status:
            # bytes are out, so all that is left is to end the connection without a proper end
            return
        body = shape_of(scope, self._rules)(error, request_id=exchange.request_id)
        headers = [*error_headers(error), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _report(scope: Scope, exchange: Exchange) -> None:
    route, seconds = _route(scope), exchange.seconds()
    names.labelled(names.HTTP_REQUESTS, scope["method"], route, exchange.status).inc()
    fields: dict[str, object] = {
        "request_id": exchange.request_id,
        "method": scope["method"],
        "route": route,
        "status": exchange.status,
        "duration_ms": round(seconds * 1000, 2),
    }
    if exchange.error_code:
        fields["error_code"] = exchange.error_code
    call = exchange.call
    if call is not None:
        fields["app_id"], fields["api_key_id"] = call.caller.app_id, call.caller.api_key_id
        fields["model"], fields["provider"] = call.requested_model[:200], call.target.provider
        fields["is_stream"] = call.is_stream
        if exchange.parameters:
            fields["parameters"] = dict(exchange.parameters)
    logs.line("request_answered", **fields)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _UNKNOWN_ROUTE)


def _texts(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


class Drain:
    """Counts requests in flight, refuses new ones once asked to, and tells when the last has ended."""

    def __init__(self) -> None:
        self.is_draining = False
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._on_begin: list[Callable[[], None]] = []

    def counted(self) -> _Counted:
        """Count a request while the body runs."""
        return _Counted(self)

    def begin(self) -> None:
        """Refuse new requests from here on."""
        self.is_draining = True
        for call in self._on_begin:
            call()

    def when_begun(self, call: Callable[[], None]) -> None:
        """Have something called when the drain begins."""
        self._on_begin.append(call)

    def check(self) -> None:
        """Raise Draining once `begin` was called."""
        if self.is_draining:
            raise Draining("This gateway is shutting down; retry, another one will answer.", retry_after_seconds=1)

    async def finished(self) -> None:
        """Wait until nothing is in flight."""
        while self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    def leave(self) -> None:
        """Count a request out. For `counted` only."""
        self.in_flight -= 1
        self._idle.set()


class _Counted:
    __slots__ = ("_drain",)

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    def __enter__(self) -> None:
        self._drain.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._drain.leave()
