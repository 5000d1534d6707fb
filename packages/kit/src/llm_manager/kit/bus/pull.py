"""Pulling from a JetStream consumer: one standing request, messages gathered into batches by size and age.

`PullSubscription.fetch` of nats-py is not used: it makes a task per message, returns more than was asked for after a
reconnect, and cannot be ended without leaving messages unanswered for the whole ack wait (2.16).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import APIError

from llm_manager.core.errors import BusUnavailable
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.names import STATUS

# A standing request is renewed after so long; one that got lost on the way costs no more than that.
_EXPIRES_SECONDS = 5.0
_GRACE_SECONDS = 1.0
# Statuses of the server (ADR-13): a heartbeat; and the two ends of a request that found nothing more.
_HEARTBEAT = "100"
_NOTHING_MORE = frozenset({"404", "408"})


class Pull:
    """Messages of one consumer, as they come."""

    def __init__(self, bus: Bus, *, stream: str, durable: str) -> None:
        self._bus = bus
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = bus.client.new_inbox()
        self._requests = count()
        self._request = ""
        self._wanted = 0
        self._until = 0.0
        self._epoch = -1
        self._waiting: deque[Msg] = deque()
        self._error: APIError | None = None
        self._changed = asyncio.Event()
        self._is_stopped = False
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] | None = None

    async def open(self) -> None:
        """Start listening; nothing is asked for yet."""
        # A standing request dies with its connection; the next one must not wait until it would have expired.
        self._forget = self._bus.on_reconnect(self._changed.set)
        self._subscription = await self._bus.subscribe(f"{self._inbox}.*", self._on_message)

    async def close(self) -> None:
        """Stop listening, and give back at once what no batch has taken."""
        if self._forget is not None:
            self._forget()
        if self._subscription is not None:
            with suppress(errors.Error):
                await self._subscription.unsubscribe()
        while self._waiting:
            with suppress(errors.Error):
                await self._waiting.popleft().nak()

    def stop(self) -> None:
        """Make `batch` return with what is there."""
        self._is_stopped = True
        self._changed.set()

    async def batch(self, size: int, max_wait_seconds: float) -> list[Msg]:
        """Return 1 to `size` messages, the first not older than `max_wait_seconds`; none only after `stop`.

        Raises:
            APIError: the consumer is gone, or the server refuses; open it again.
            BusUnavailable: there is no connection now.
        """
        loop = asyncio.get_running_loop()
        due: float | None = None
        while not self._is_stopped and len(self._waiting) < size:
            if self._error is not None:
                raise self._error
            now = loop.time()
            if self._waiting and due is None:
                due = now + max_wait_seconds
            if due is not None and now >= due:
                break
            if now >= self._until or self._wanted <= 0 or self._epoch != self._bus.epoch:
                await self._ask(size - len(self._waiting), now)
            await self._wait(self._until if due is None else min(due, self._until))
        taken = 0 if self._is_stopped else min(size, len(self._waiting))
        return [self._waiting.popleft() for _ in range(taken)]

    async def _ask(self, wanted: int, now: float) -> None:
        self._request = f"{next(self._requests):x}"
        self._wanted, self._epoch = wanted, self._bus.epoch
        self._until = now + _EXPIRES_SECONDS + _GRACE_SECONDS
        request = {"batch": wanted, "expires": int(_EXPIRES_SECONDS * 1e9)}
        await self._bus.publish(self._next, json.dumps(request).encode(), reply=f"{self._inbox}.{self._request}")

    async def _wait(self, until: float) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        if not self._bus.client.is_connected:
            raise BusUnavailable("The connection was lost while waiting for messages.")

    async def _on_message(self, message: Msg) -> None:
        if message.reply:
            self._wanted -= 1
            self._waiting.append(message)
        elif message.subject == f"{self._inbox}.{self._request}":
            self._take_status((message.headers or {}).get(STATUS, ""), message)
        self._changed.set()

    def _take_status(self, status: str, message: Msg) -> None:
        if status in _NOTHING_MORE:
            self._wanted = 0
        elif status != _HEARTBEAT:
            description = (message.headers or {}).get("Description", "no description")
            self._error = APIError(code=int(status) if status.isdigit() else 0, description=description)
