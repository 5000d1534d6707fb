"""Events that must not be lost: retried until JetStream has them on disk, or the deadline says otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from nats import errors
from nats.js.errors import APIError, BadRequestError, NoStreamResponseError
from nats.js.errors import Error as JetStreamError

from llm_manager.core.errors import BodyTooLarge, BusUnavailable, InternalError
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.bus.message import Message
from llm_manager.kit.bus.names import MESSAGE_ID, NO_RESPONDERS, STATUS
from llm_manager.kit.bus.refusals import NotPermittedError

# An answer takes milliseconds; when the server dies it never comes, and a retry is folded if it was stored after all.
_ATTEMPT_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


async def publish_durable(
    bus: Bus,
    subject: str,
    payload: bytes,
    *,
    message_id: str,
    headers: Mapping[str, str] | None = None,
    deadline_seconds: float,
) -> None:
    """Publish to the stream that holds `subject` and return when it is stored.

    Retries are folded by `message_id` within the stream's dedupe window, so a message is stored once.

    Raises:
        BusUnavailable: not stored within `deadline_seconds`, as far as is known, or this user may not publish there.
        BodyTooLarge: the server would never take it.
        InternalError: the stream refuses the message for what it is.
    """
    if len(payload) + _header_room(headers) > bus.max_payload:
        raise BodyTooLarge(f"An event of {len(payload)} bytes for {subject!r} is above the limit of {bus.max_payload}.")
    sent = {**(headers or {}), MESSAGE_ID: message_id}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    pause, last_error = _FIRST_PAUSE_SECONDS, ""
    while True:
        remaining = deadline - loop.time()
        if remaining <= 0 or not (bus.client.is_connected or await bus.wait_connected(remaining)):
            raise BusUnavailable(
                f"An event for {subject!r} was not stored within {deadline_seconds:g} s "
                f"(the bus is {bus.state}; {last_error or 'no attempt was made'}); check NATS and its JetStream."
            )
        try:
            attempt = min(_ATTEMPT_SECONDS, max(deadline - loop.time(), 0.001))
            _check(await bus.replies.ask(subject, payload, headers=sent, timeout_seconds=attempt))
        except BadRequestError as error:
            raise InternalError(f"The stream for {subject!r} refuses the event: {error}.") from error
        except NotPermittedError as error:
            raise BusUnavailable(f"An event was not stored: {error}.") from error
        except (errors.Error, JetStreamError, TimeoutError) as error:
            last_error = str(error)
            await asyncio.sleep(min(pause, max(deadline - loop.time(), 0)))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            return


def _header_room(headers: Mapping[str, str] | None) -> int:
    return 256 + sum(len(key) + len(value.encode()) + 4 for key, value in (headers or {}).items())


def _check(reply: Message) -> None:
    """Raise what JetStream, or the server in its place, says against a message (PubAck of ADR-1)."""
    if reply.data.startswith(b'{"stream":') and b'"error"' not in reply.data:
        return
    if (reply.headers or {}).get(STATUS) == NO_RESPONDERS:
        raise NoStreamResponseError
    answer = json.loads(reply.data)
    if "error" in answer:
        APIError.from_error(answer["error"])
