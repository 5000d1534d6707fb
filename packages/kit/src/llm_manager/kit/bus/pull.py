"""Pulling from a JetStream consumer: a standing request, or sweeps under load; batches by size and age.

`PullSubscription.fetch` of nats-py is not used: it makes a task per message, returns more than was asked for after a
reconnect, and cannot be ended without leaving messages unanswered for the whole ack wait (2.16).
"""

from __future__ import annotations

import asyncio
import json
import math
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
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import STATUS
from llm_manager.kit.bus.refusals import NotPermittedError

# A standing request is renewed after so long; one that got lost on the way costs no more than that.
_EXPIRES_SECONDS = 5.0
_GRACE_SECONDS = 1.0
# Statuses of the server (ADR-13): a heartbeat; and the two ends of a request that found nothing more.
_HEARTBEAT = "100"
_NOTHING_MORE = frozenset({"404", "408"})
# Said here for the server, which says it to the connection and not to the request.
_FORBIDDEN = 403
# So many messages in one short wait are no load yet: a row for each of them may be written at once.
_HANDFUL = 5


def wait_seconds(gathered: int, *, seldom: float, busy: float) -> float:
    """Return how long after its first message a batch ends that holds so many: `busy` when it is more than a handful.

    What a batch costs hardly depends on its size (an insert of 1 row into the embedded ledger 14 ms, of 100 rows 15 ms
    of CPU, 2026-11), so under load fewer and larger ones are cheaper, while a lone message is not kept waiting.
    """
    return busy if gathered > _HANDFUL else seldom


class Pull:
    """Messages of one consumer.

    They are sent as they come, until a batch shows that there is load. From then on each batch is one sweep: what has
    gathered in the server meanwhile, in a few packets, where a packet and two wake-ups for each message cost more than
    reading it. The age of a batch is the same in both.
    """

    def __init__(self, bus: Bus, *, stream: str, durable: str) -> None:
        self._bus = bus
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = bus.client.new_inbox()
        self._requests = count()
        self._request = ""
        self._wanted = 0
        self._until = 0.0
        self._epoch = -1
        # Under load: nothing is asked for before this time, and then only for what is there.
        self._sweeps_at = 0.0
        self._is_sweep = False
        self._waiting: deque[Message] = deque()
        self._error: APIError | None = None
        self._changed = asyncio.Event()
        # With fewer messages than that, the batch that is being gathered has nothing to do.
        self._enough = 1
        self._is_stopped = False
        self._subscription: Subscription | None = None
        self._forgets: list[Callable[[], None]] = []

    async def open(self) -> None:
        """Start listening; nothing is asked for yet."""
        # A standing request dies with its connection; the next one must not wait until it would have expired.
        self._forgets = [
            self._bus.on_reconnect(self._changed.set),
            self._bus.client.refusals.listen(self._on_refusal),
        ]
        self._subscription = await self._bus.listen(f"{self._inbox}.*", self._on_message)

    async def close(self) -> None:
        """Stop listening, and give back at once what no batch has taken."""
        while self._forgets:
            self._forgets.pop()()
        if self._subscription is not None:
            with suppress(errors.Error):
                await self._subscription.unsubscribe()
        while self._waiting:
            with suppress(errors.Error):
                self._bus.client.send(self._waiting.popleft().reply, Msg.Ack.Nak)

    def stop(self) -> None:
        """Make `batch` return with what is there."""
        self._is_stopped = True
        self._changed.set()

    async def batch(
        self, size: int, max_wait_seconds: float, *, busy_wait_seconds: float | None = None
    ) -> list[Message]:
        """Return 1 to `size` messages; none only after `stop`.

        Args:
            max_wait_seconds: age of the first message at most.
            busy_wait_seconds: its age at most once more than a handful came; None for no difference.

        Raises:
            APIError: the consumer is gone, or the server refuses; open it again.
            BusUnavailable: there is no connection now.
        """
        loop = asyncio.get_running_loop()
        busy = max_wait_seconds if busy_wait_seconds is None else busy_wait_seconds
        first_at: float | None = None
        while not self._is_stopped and len(self._waiting) < size:
            if self._error is not None:
                raise self._error
            # before anything is awaited, so that nothing that comes meanwhile is slept through
            self._changed.clear()
            self._enough = size if self._waiting else 1
            now, due = loop.time(), math.inf
            if self._waiting:
                first_at = now if first_at is None else first_at
                due = first_at + wait_seconds(len(self._waiting), seldom=max_wait_seconds, busy=busy)
            is_answered = self._wanted <= 0
            if now >= due or (self._waiting and self._is_sweep and is_answered):
                break
            if now >= self._until or is_answered or self._epoch != self._bus.epoch:
                if now < self._sweeps_at:
                    await self._wait(self._sweeps_at)
                    continue
                await self._ask(size - len(self._waiting), now)
            await self._wait(min(due, self._until))
        taken = 0 if self._is_stopped else min(size, len(self._waiting))
        # a full batch tells of more that waits
        self._sweeps_at = loop.time() + busy if _HANDFUL < taken < size else 0.0
        return [self._waiting.popleft() for _ in range(taken)]

    async def _ask(self, wanted: int, now: float) -> None:
        self._request = f"{next(self._requests):x}"
        self._wanted, self._epoch = wanted, self._bus.epoch
        # one that finds nothing is followed by a standing request
        self._is_sweep, self._sweeps_at = self._sweeps_at > 0.0, 0.0
        self._until = now + _EXPIRES_SECONDS + _GRACE_SECONDS
        request: dict[str, int | bool] = {"batch": wanted}
        request |= {"no_wait": True} if self._is_sweep else {"expires": int(_EXPIRES_SECONDS * 1e9)}
        await self._bus.publish(self._next, json.dumps(request).encode(), reply=f"{self._inbox}.{self._request}")

    async def _wait(self, until: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        if not self._bus.client.is_connected:
            raise BusUnavailable("The connection was lost while waiting for messages.")

    def _on_message(self, message: Message) -> None:
        if message.reply:
            self._wanted -= 1
            self._waiting.append(message)
            if len(self._waiting) < self._enough and self._wanted > 0:
                # a wake that only goes back to sleep costs 5 us
                return
        elif message.subject == f"{self._inbox}.{self._request}":
            self._take_status((message.headers or {}).get(STATUS, ""), message)
        self._changed.set()

    def _on_refusal(self, subject: str) -> None:
        if subject == self._next:
            self._error = APIError(code=_FORBIDDEN, description=str(NotPermittedError(subject)))
            self._changed.set()

    def _take_status(self, status: str, message: Message) -> None:
        if status in _NOTHING_MORE:
            self._wanted = 0
        elif status != _HEARTBEAT:
            description = (message.headers or {}).get("Description", "no description")
            self._error = APIError(code=int(status) if status.isdigit() else 0, description=description)
