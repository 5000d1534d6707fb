"""One connection: writes a request, hands what comes back to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from llm_manager.providers.http1.address import Origin
from llm_manager.providers.http1.reply import Closed, Reply

# Larger bodies are written in pieces, so that other streams of this process go on meanwhile.
_LARGE_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024


class Connection(asyncio.Protocol):
    """A connection that serves one request after another.

    Args:
        on_lost: told once when it is gone.
    """

    def __init__(self, origin: Origin, on_lost: Callable[[Connection], None]) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._is_written = True
        self._can_write = asyncio.Event()
        self._can_write.set()

    @property
    def is_open(self) -> bool:
        """Whether it can still be written to."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, head: bytes, body: bytes, *, on_sent: Callable[[], None]) -> Reply:
        """Send a request and return its answer once the headers are here.

        Args:
            on_sent: called whenever something of the request has gone out.

        Raises: see `Reply.head`.
        """
        if self._transport is None or self._transport.is_closing():
            raise Closed("closed")
        reply = self._reply = Reply(self)
        if len(body) <= _LARGE_BYTES:
            self._transport.write(head + body)
            on_sent()
        else:
            self._transport.write(head)
            on_sent()
            await self._write(self._transport, body, on_sent)
        await reply.head()
        return reply

    async def _write(self, transport: asyncio.Transport, body: bytes, on_sent: Callable[[], None]) -> None:
        self._is_written = False
        for at in range(0, len(body), _PIECE_BYTES):
            await self._can_write.wait()
            if self._is_answered():
                # before all of it was read: a refusal mostly
                return
            transport.write(body[at : at + _PIECE_BYTES])
            on_sent()
            await asyncio.sleep(0)
        self._is_written = True

    def _is_answered(self) -> bool:
        return self._reply is None or self._reply.has_head or self._reply.is_over

    def finish(self) -> bool:
        """End an exchange; True when the connection can serve another one, else it is closed."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.let_go()
            if reply.is_spent and self._is_written and self.is_open:
                return True
        self.close()
        return False

    def close(self) -> None:
        """Close at once: the other side must not work on for nobody."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """See `Flow`."""
        if self.is_open and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """See `Flow`."""
        if self.is_open and self._transport is not None:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the answer that is waited for; what nobody asked for ends the connection."""
        if self._reply is None or not self._reply.feed(data):
            self.close()
        if not self._is_written and self._is_answered():
            self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        if self._reply is not None:
            self._reply.lose(exc)
        self._can_write.set()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The other side takes nothing for now."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """The other side takes bytes again."""
        self._can_write.set()
