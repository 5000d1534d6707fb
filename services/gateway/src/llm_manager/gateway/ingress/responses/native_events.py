"""A provider's own responses and events: passed on as they are but for what they cost, and for whether they are stored.

The last event waits for the end of the attempt, because only then it is known what the response cost; so that a client
never hears of a good end before the attempt has one.
"""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Raw

from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.core.usage import UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.money import usd
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.gateway.ingress.responses.errors import error_event
from llm_manager.gateway.ingress.responses.events import PING
from llm_manager.kit.sse import data_event

Members = dict[str, object]

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
# Counts that strict clients miss where a provider has none of them (openai-python 3.54 `types/responses/
# response_usage.py`; 70 of 95 recorded responses have no cache_write_tokens).
_COUNTS = {
    "input_tokens_details": ("cached_tokens", "cache_write_tokens"),
    "output_tokens_details": ("reasoning_tokens",),
}


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    sequence_number: int | None = None
    response: Raw = Raw()


_event = msgspec.json.Decoder(_Event)
_members = msgspec.json.Decoder(dict[str, Raw])


class NativeResponseEvents:
    """Writes the events of a provider that speaks the dialect, byte for byte but for the usage in the last one."""

    media_type = EVENT_STREAM

    def __init__(self, *, with_cost: bool) -> None:
        self.ping = PING
        self.final: bytes | None = None
        self._with_cost = with_cost
        self._number = 0
        self._end: tuple[str, bytes] | None = None
        self._frame = b""

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        return b"".join(map(self._passed, piece.native))

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        if self._end is None:
            raise UpstreamProtocolError("The provider's stream ended without a last event; retry.")
        kind, event = self._end
        members = _members.decode(event)
        self.final = with_usage(bytes(members["response"]), outcome, with_cost=self._with_cost)
        self._frame = data_event(_with_response(members, self.final), event=kind)
        return self._frame

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG002 # it is in the headers
        """See `writer.AnswerWriter`."""
        event = msgspec.json.encode(error_event(error, sequence_number=self._number))
        return data_event(event, event="error")

    def unstored(self, data: bytes) -> bytes:
        """See `events.EndedWriter`."""
        if self._end is None or self.final is None or not self._frame:
            return data
        kind, event = self._end
        changed = _with_response(_members.decode(event), without_store(self.final))
        return data.replace(self._frame, data_event(changed, event=kind))

    def _passed(self, event: bytes) -> bytes:
        try:
            seen = _event.decode(event)
        except msgspec.DecodeError as error:
            raise UpstreamProtocolError("The provider's stream holds an event that is not one; retry.") from error
        if seen.type in _ENDS and bytes(seen.response)[:1] == b"{":
            self._end = (seen.type, event)
            return b""
        if seen.sequence_number is not None:
            self._number = seen.sequence_number + 1
        return data_event(event, event=seen.type)


def with_usage(response: bytes, outcome: Outcome, *, with_cost: bool) -> bytes:
    """Return a provider's response with what it cost in its usage, and with every count that clients look for.

    A response without usage stays as it is: nothing is made up.

    Raises:
        UpstreamProtocolError: it is no response.
    """
    try:
        members = _members.decode(response)
    except msgspec.DecodeError as error:
        raise UpstreamProtocolError("The provider's answer is not a response; retry.") from error
    usage: object = msgspec.json.decode(members.get("usage", Raw(b"null")))
    if not isinstance(usage, dict):
        return response
    counts = cast("Members", usage)  # JSON object
    for name, wanted in _COUNTS.items():
        details: object = counts.get(name)
        known = cast("Members", details) if isinstance(details, dict) else {}  # JSON object
        counts[name] = {**dict.fromkeys(wanted, 0), **{key: value for key, value in known.items() if value is not None}}
    if with_cost:
        total = outcome.cost.total_usd
        counts["cost"] = None if total is None else Raw(usd(total).encode())
    if outcome.report.source is UsageSource.ESTIMATED:
        counts["is_estimated"] = True
    return msgspec.json.encode({**members, "usage": counts})


def without_store(response: bytes) -> bytes:
    """Return a response that says that it is not stored."""
    return msgspec.json.encode({**_members.decode(response), "store": False})


def _with_response(event: dict[str, Raw], response: bytes) -> bytes:
    return msgspec.json.encode({**event, "response": Raw(response)})
