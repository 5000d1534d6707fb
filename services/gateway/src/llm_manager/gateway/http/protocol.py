"""uvicorn's httptools protocol with deadlines and bounds, and with a body for requests that ask for an upgrade."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Mapping
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from llm_manager.core.errors import Draining, InvalidRequest, LlmManagerError, Overloaded, RequestTimedOut
from llm_manager.core.ids import uuid7
from llm_manager.gateway.errors import error_body, error_headers
from llm_manager.gateway.http.connections import Connections
from llm_manager.gateway.http.cycle import Cycle
from llm_manager.gateway.http.exchange import exchange_in
from llm_manager.gateway.http.metrics import CONNECTIONS_ENDED

_ASGI = {"version": "3.0", "spec_version": "2.3"}
# Headers of one hop that go with an upgrade (RFC 9110, 7.6.1 and 7.8; RFC 7540, 3.2.1).
_OF_UPGRADE = frozenset({b"upgrade", b"connection", b"http2-settings"})
_HEAD_TOO_LARGE = 431


class GatewayProtocol(HttpToolsProtocol):
    """One connection.

    Requests that ask for an upgrade (`Upgrade: h2c` of Java's HttpClient and of `curl --http2`) are answered as if
    they had not, which RFC 9110, 7.8 allows. uvicorn drops their body and takes it for the next request.

    Args:
        connections: the registry of the server, whose limits hold.
        given: what uvicorn gives its protocols.
    """

    def __init__(self, connections: Connections, **given: Any) -> None:  # uvicorn's own types are private
        super().__init__(**given)
        self._all = connections
        self._limits = connections.limits
        self._application = given["config"].loaded_app
        self._running: Cycle | None = None
        self._last_active = self.loop.time()
        self._head_since: float | None = None
        self._head_bytes = 0
        self._has_stopped = False
        self._is_upgrade = False
        # how many bytes wait for a client that does not read, and since when they have not become fewer
        self._unread: tuple[int, float] | None = None

    # -- the transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=self._limits.unread_bytes)
        if not self._all.admit(self):
            self._refuse(Overloaded("This gateway has as many connections as it may; retry.", retry_after_seconds=1))

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.forget(self)
        for cycle in (self._running, *(queued for queued, _ in self.pipeline)):
            if isinstance(cycle, Cycle):
                cycle.lose()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_stopped:
            return
        self._last_active = self.loop.time()
        had_head_begun = self._head_since is not None
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(InvalidRequest("This is not a valid HTTP/1.1 request."))
            return
        self._head_bytes = self._head_bytes + len(data) if had_head_begun and self._head_since is not None else 0
        if self._head_bytes > self._limits.head_bytes:
            CONNECTIONS_ENDED.labels("head_too_large").inc()
            self._refuse(InvalidRequest("The request's headers are too large.", http_status=_HEAD_TOO_LARGE))

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # llhttp ends behind such a head; a new parser gets the head without the wish, and what follows it
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self._is_upgrade = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserError("CONNECT is for proxies")
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] not in _OF_UPGRADE]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close")
        if any(b"\r" in line or b"\n" in line for line in lines):
            raise httptools.HttpParserError("a folded header")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    # -- the parser's calls

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._head_since = self._last_active

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        self._head_since = None
        version = self.parser.get_http_version()
        self.scope = self._scope_of(version)
        cycle = Cycle(
            self.pipeline,
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not self._all.is_closing,
            on_response=self.on_response_complete,
        )
        self.cycle = cycle
        if self._running is None:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self._application))

    def on_body(self, body: bytes) -> None:
        if not self._is_upgrade:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_upgrade:
            return
        # also behind a complete answer, or the rest of the connection would count as this body
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _scope_of(self, version: str) -> Any:  # uvicorn's type of a scope is private
        url, query = self.url, b""
        if not url.startswith(b"/") or b"?" in url or b"#" in url:
            parsed = httptools.parse_url(url)
            url, query = parsed.path or b"/", parsed.query or b""
        path = url.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "state": {},
            "method": self.parser.get_method().decode("ascii"),
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": url,
            "query_string": query,
        }

    # -- the way of a request

    def _start(self, cycle: Cycle) -> None:
        self._running = cycle
        self._start_asgi_task(cycle, self._application)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        self._last_active = self.loop.time()
        if self._head_since is not None:
            self._head_since = self._last_active
        following = self.pipeline.pop()[0] if self.pipeline else None
        if not self.pipeline:
            self.flow.resume_reading()
        if isinstance(following, Cycle):
            self._start(following)

    def _refuse(self, error: LlmManagerError) -> None:
        """Read nothing more: fail the request whose body is incomplete, or answer as soon as nothing is under way."""
        self._has_stopped = True
        if self._running is None:
            self._write_refusal(error)
        elif isinstance(self.cycle, Cycle) and self.cycle.more_body:
            self.cycle.fail(error)
        else:
            self.cycle.keep_alive = False

    def _write_refusal(self, error: LlmManagerError) -> None:
        # there is no request, so no dialect either: the shape is OpenAI's, as at unknown addresses
        body, request_id = error_body(error), uuid7().encode()
        lines = [STATUS_LINE[error.http_status]]
        lines += [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *error_headers(error))]
        lines.append(b"x-request-id: %b\r\nrequest-id: %b\r\n" % (request_id, request_id))
        lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join(lines) + body)
        self.transport.close()

    # -- deadlines and bounds; see connections.Connection

    def unread_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def owner(self) -> str:
        exchange = exchange_in(cast("Mapping[str, object]", self._running.scope)) if self._running is not None else None
        return exchange.call.caller.app_id if exchange is not None and exchange.call is not None else ""

    def cut(self) -> None:
        self.transport.abort()

    def let_go(self) -> None:
        if self._running is None:
            self.transport.close()
        elif self.cycle is self._running and self._running.more_body and not self._running.response_started:
            self._running.fail(
                Draining("This gateway is shutting down; retry, another one will answer.", retry_after_seconds=1)
            )
        else:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        self.let_go()

    def enforce(self, now: float) -> None:
        if self._is_unread_for_too_long(now):
            CONNECTIONS_ENDED.labels("slow_reader").inc()
            self.cut()
        elif not self.transport.is_closing():
            self._enforce_reading(now)

    def _is_unread_for_too_long(self, now: float) -> bool:
        size = self.unread_bytes()
        if not size or not (self.flow.write_paused or self.transport.is_closing()):
            self._unread = None
            return False
        if self._unread is None or size <= self._unread[0] - self._limits.unread_bytes:
            self._unread = size, now
        return now - self._unread[1] > self._limits.unread_seconds

    def _enforce_reading(self, now: float) -> None:
        cycle = self.cycle
        if isinstance(cycle, Cycle) and cycle.more_body:
            if self.flow.read_paused or cycle.waiting_for_100_continue:
                # it is us who do not read, or have not asked
                self._last_active = now
            elif now - self._last_active > self._limits.body_seconds and not self._has_stopped:
                CONNECTIONS_ENDED.labels("body_timeout").inc()
                self._end_body(cycle)
        elif self._running is not None:
            return
        elif self._head_since is not None:
            if now - self._head_since > self._limits.head_seconds:
                CONNECTIONS_ENDED.labels("head_timeout").inc()
                self._refuse(RequestTimedOut("The request's headers were not complete in time; send them at once."))
        elif now - self._last_active > self._limits.idle_seconds:
            self.transport.close()

    def _end_body(self, cycle: Cycle) -> None:
        self._has_stopped = True
        if cycle.response_started:
            self.transport.close()
        else:
            cycle.fail(RequestTimedOut("The request's body stopped coming; send it again, without a pause."))
