"""One inbox for the single replies of a process: what JetStream says to a publish."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count

from llm_manager.kit.bus.lean import LeanClient
from llm_manager.kit.bus.message import Message, write_headers
from llm_manager.kit.bus.refusals import NotPermittedError


class Replies:
    """As `Client.request` of nats-py, without its task, queue and headers read for each (about 40 us a request)."""

    def __init__(self, client: LeanClient) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._cut = len(self._inbox) + 1
        self._tokens = count()
        self._waiting: dict[str, tuple[asyncio.Future[Message], str]] = {}

    async def open(self) -> None:
        """Listen. For `connect` only."""
        self._client.refusals.listen(self._on_refusal)
        await self._client.listen(f"{self._inbox}.*", self._on_reply)

    async def ask(self, subject: str, payload: bytes, *, headers: Mapping[str, str], timeout_seconds: float) -> Message:
        """Publish, and return the first reply, which may be the server's `Status: 503` for "nobody listens".

        Raises:
            TimeoutError: no reply in time.
            NotPermittedError: the server does not let this user publish on the subject.
            nats.errors.Error: it could not be sent.
        """
        loop = asyncio.get_running_loop()
        token = f"{next(self._tokens):x}"
        reply: asyncio.Future[Message] = loop.create_future()
        self._waiting[token] = reply, subject
        timer = loop.call_later(timeout_seconds, _give_up, reply)
        try:
            self._client.send(subject, payload, reply=f"{self._inbox}.{token}", head=write_headers(headers))
            return await reply
        finally:
            timer.cancel()
            del self._waiting[token]

    def _on_reply(self, message: Message) -> None:
        waiting = self._waiting.get(message.subject[self._cut :])
        if waiting is not None and not waiting[0].done():
            waiting[0].set_result(message)

    def _on_refusal(self, subject: str) -> None:
        for reply, asked in self._waiting.values():
            if asked == subject and not reply.done():
                reply.set_exception(NotPermittedError(subject))


def _give_up(reply: asyncio.Future[Message]) -> None:
    if not reply.done():
        reply.set_exception(TimeoutError("no reply in time"))
