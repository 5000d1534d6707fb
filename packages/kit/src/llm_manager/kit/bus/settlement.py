"""What becomes of a pulled batch: handled and acknowledged, tried again later, or set aside as poison."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog
from nats import errors
from nats.aio.msg import Msg

from llm_manager.core.errors import LlmManagerError
from llm_manager.kit.bus.lean import LeanClient
from llm_manager.kit.bus.message import Message

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 60.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Delivered(msgspec.Struct, frozen=True):
    """One message of a stream; `deliveries` counts from 1."""

    data: bytes
    headers: Mapping[str, str]
    subject: str
    deliveries: int


BatchHandler = Callable[[Sequence[Delivered]], Awaitable[None]]
OnPoison = Callable[[Delivered, Exception], Awaitable[None]]


class Settlement:
    """Runs the handler of a consumer and answers JetStream for every message."""

    def __init__(
        self,
        handler: BatchHandler,
        *,
        client: LeanClient,
        name: str,
        ack_wait_seconds: float,
        max_deliveries: int,
        on_poison: OnPoison | None,
    ) -> None:
        self._handler = handler
        self._client = client
        self._name = name
        self._keep_seconds = ack_wait_seconds / 3
        self._max_deliveries = max_deliveries
        self._on_poison = on_poison

    async def settle(self, batch: Sequence[Message]) -> None:
        """Handle a batch; every message is acknowledged, comes back later, or is terminated as poison."""
        error = await self._try(batch)
        if error is None:
            for message in batch:
                self._answer(message, b"")
        elif len(batch) == 1:
            await self._refuse(batch[0], error)
        elif _is_outage(error):
            for message in batch:
                await self._refuse(message, error)
        else:
            log.warning("bus_batch_split", consumer=self._name, size=len(batch), error=str(error))
            for message in batch:
                await self.settle([message])

    async def _try(self, batch: Sequence[Message]) -> Exception | None:
        deliveries = [_delivered(message) for message in batch]
        task = asyncio.ensure_future(self._handler(deliveries))
        try:
            while not (await asyncio.wait({task}, timeout=self._keep_seconds))[0]:
                for message in batch:
                    self._answer(message, Msg.Ack.Progress)
            await task
        except Exception as error:  # noqa: BLE001  # whatever the handler raises, the messages are not lost
            return error
        finally:
            task.cancel()
        return None

    async def _refuse(self, message: Message, error: Exception) -> None:
        delivered = _delivered(message)
        if self._on_poison is not None and not _is_outage(error) and delivered.deliveries >= self._max_deliveries:
            try:
                await self._on_poison(delivered, error)
            except Exception:  # a message that could not be set aside stays in the stream
                log.exception("bus_poison_not_set_aside", consumer=self._name, subject=delivered.subject)
            else:
                log.error("bus_poison_set_aside", consumer=self._name, subject=delivered.subject, error=str(error))
                self._answer(message, Msg.Ack.Term)
                return
        delay = min(_FIRST_DELAY_SECONDS * 2 ** min(delivered.deliveries - 1, 16), _LONGEST_DELAY_SECONDS)
        log.warning(
            "bus_delivery_failed",
            consumer=self._name,
            subject=delivered.subject,
            deliveries=delivered.deliveries,
            delay_seconds=delay,
            error=str(error),
        )
        self._answer(message, Msg.Ack.Nak + b" " + msgspec.json.encode({"delay": int(delay * 1e9)}))

    def _answer(self, message: Message, answer: bytes) -> None:
        # An answer that does not reach the server is as good as none: the message comes again.
        with suppress(errors.Error):
            self._client.send(message.reply, answer)


def _is_outage(error: Exception) -> bool:
    return isinstance(error, LlmManagerError) and error.retryable


def _delivered(message: Message) -> Delivered:
    return Delivered(
        data=message.data,
        headers=message.headers or {},
        subject=message.subject,
        deliveries=message.delivery.deliveries,
    )
