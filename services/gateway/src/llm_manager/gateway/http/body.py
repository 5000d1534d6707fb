"""Reads a request's body with a limit, and answers to a client that goes away."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from llm_manager.core.errors import BodyTooLarge, InvalidRequest, RequestCancelled, UnsupportedMediaType
from llm_manager.gateway.http.cycle import Cycle
from llm_manager.gateway.http.exchange import Exchange

# A client that is still sending does not read; this much of what is too large is taken off the wire before the
# refusal, so that most clients see it instead of a reset connection.
_DISCARD_FACTOR, _DISCARD_SECONDS = 2, 2.0


async def read_json_body(exchange: Exchange, receive: Receive, *, max_bytes: int) -> bytes:
    """Return the body of the request behind an exchange.

    Raises:
        UnsupportedMediaType: it is not said to be JSON.
        BodyTooLarge: more than `max_bytes`, by its stated length or while it comes.
        RequestCancelled: the client went away while sending.
    """
    content_type = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        shown = content_type[:100] or "nothing"
        raise UnsupportedMediaType(f"The content type is {shown!r}; send application/json.")
    if (exchange.header(b"content-encoding") or "identity").lower() != "identity":
        raise UnsupportedMediaType("The body is compressed; send it without content-encoding.")
    stated = exchange.header(b"content-length") or "0"
    if not stated.isdecimal():
        raise InvalidRequest("The content-length is not a number.")
    if int(stated) > max_bytes:
        await _discard(receive, max_bytes * _DISCARD_FACTOR)
        raise _too_large(max_bytes)
    return await _read(receive, max_bytes)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size, has_more = 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestCancelled("The client went away while it was sending.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            await _discard(receive, max_bytes * _DISCARD_FACTOR)
            raise _too_large(max_bytes)
        chunks.append(chunk)
        has_more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _discard(receive: Receive, at_most: int) -> None:
    size = 0
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while size <= at_most:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {max_bytes} bytes; send less, or have the limit raised.")


class WhileConnected:
    """Runs the body as long as the client is there; when it goes away, cancels it and raises RequestCancelled.

    Enter it after the request's body was read: it takes over `receive`.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._reason = ""
        self._watcher: asyncio.Task[None] | None = None
        owner = getattr(receive, "__self__", None)
        # our own server calls back, which saves a task for each request
        self._cycle = owner if isinstance(owner, Cycle) else None

    async def __aenter__(self) -> WhileConnected:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request runs in a task")
        self._task = task
        if self._cycle is None:
            self._watcher = asyncio.create_task(self._watch(), name="disconnect-watcher")
        else:
            self._cycle.watch(self._gone)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._cycle is not None:
            self._cycle.unwatch()
        if self._reason and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise RequestCancelled(self._reason) from error

    def give_up(self, reason: str) -> None:
        """Cancel the body as if the client had gone away."""
        if not self._reason:
            self._reason = reason
            self._task.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        self.give_up("The client went away before the answer was complete.")
