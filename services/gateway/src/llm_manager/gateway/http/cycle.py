"""One request and its answer on a connection, as ASGI's receive and send."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from llm_manager.core.errors import LlmManagerError

_WITHOUT_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """uvicorn's cycle with one write for head and first body, and with failures that `receive` raises.

    Args:
        queued: the requests behind this one; while there are any, the connection is not read.
        given: what uvicorn gives its cycles.
    """

    def __init__(self, queued: Sized, **given: Any) -> None:  # uvicorn's own types are private
        super().__init__(**given)
        self._on_gone: Callable[[], None] | None = None
        self._queued = queued
        self._failure: LlmManagerError | None = None
        self._head = b""

    def fail(self, error: LlmManagerError) -> None:
        """End a request whose body will not come: `receive` raises, and the connection closes behind the answer."""
        if self._failure is None:
            self._failure = error
            self.keep_alive = False
            self.message_event.set()

    def lose(self) -> None:
        """Note that the client went away."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self.message_event.set()
        if self._on_gone is not None:
            self._on_gone()

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back when the client goes away before the answer is complete; once, maybe now."""
        self._on_gone = on_gone
        if self.disconnected:
            on_gone()
        elif not self._queued:
            # a large body paused the reading, and only who reads sees that the client leaves
            self.flow.resume_reading()

    def unwatch(self) -> None:
        """Call nobody any more."""
        self._on_gone = None

    async def receive(self) -> Any:  # uvicorn's union of events is private
        """Return the next event.

        Raises:
            LlmManagerError: the body cannot be completed; see `fail`.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if not self._queued:
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._failure is not None and self.more_body:
            self.message_event.set()
            raise self._failure
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:  # as above
        """Send an event: the head is kept back until the first piece of the body."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_complete:
            raise RuntimeError("The answer was complete before.")
        if self.response_started:
            self._send_body(message.get("body", b""), has_more=message.get("more_body", False))
        elif message["type"] == "http.response.start":
            self._head = self._render_head(message["status"], [*self.default_headers, *message.get("headers", ())])
            self.response_started = True
        else:
            raise RuntimeError(f"An answer begins with its head, not with {message['type']}.")

    def _render_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        if self.waiting_for_100_continue:
            # the client may send the body or not, so nobody can tell what comes next (RFC 9110, 10.1.1)
            self.waiting_for_100_continue = self.keep_alive = False
        lines = [STATUS_LINE[status]]
        says_close = False
        # names are in lower case, as ASGI asks of applications
        for name, value in headers:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, says_close = False, True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        # one look at the whole costs a tenth of uvicorn's two expressions for each header
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise RuntimeError("A header of the answer holds a line break or a null byte.")
        return head + b"\r\n"

    def _send_body(self, body: bytes, *, has_more: bool) -> None:
        data, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            if body:
                data = b"%b%x\r\n%b\r\n" % (data, len(body), body)
            if not has_more:
                data += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            data += body
        if self.expected_content_length < 0 or (self.expected_content_length and not has_more):
            raise RuntimeError("The body of the answer does not have its stated length.")
        if data:
            self.transport.write(data)
        if not has_more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
