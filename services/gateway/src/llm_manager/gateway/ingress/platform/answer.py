"""The answer of the short form: whole, and as plain events with a summary at the end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from llm_manager.core.deltas import AnswerInfo, ReasoningDelta, RefusalDelta, TextDelta
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.usage import UsageReport, UsageSource
from llm_manager.gateway.errors import error_body
from llm_manager.gateway.inference.rules import Call, Outcome, Piece
from llm_manager.gateway.ingress.money import usd
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.gateway.ingress.openai.completion import Completion
from llm_manager.kit.sse import comment, data_event

# What of a message the answer carries when it is there, by the same name.
_CARRIED = ("tool_calls", "refusal", "annotations", "provider_blocks")


class Generated:
    """Collects an answer.

    Args:
        milliseconds: how long the request took so far.
    """

    def __init__(self, call: Call, fallback: AnswerInfo, *, milliseconds: Callable[[], int]) -> None:
        self._call = call
        self._completion = Completion(fallback)
        self._milliseconds = milliseconds

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        self._completion.add(piece)

    def body(self, outcome: Outcome) -> bytes:
        """Render the whole answer.

        Raises:
            UpstreamProtocolError: the answer is not whole.
        """
        return msgspec.json.encode(self._members(outcome))

    def summary(self, outcome: Outcome) -> bytes:
        """Render the end of a stream: everything but the texts that were sent; the errors are those of `body`."""
        members = self._members(outcome)
        del members["text"]
        members.pop("reasoning", None)
        return msgspec.json.encode(members)

    def _members(self, outcome: Outcome) -> dict[str, object]:
        choice = self._completion.choices()[0]
        message = msgspec.convert(choice["message"], dict[str, object])
        members: dict[str, object] = {"text": message["content"] or ""}
        if reasoning := message.get("reasoning_content"):
            members["reasoning"] = reasoning
        members |= {name: message[name] for name in _CARRIED if message.get(name)}
        total = outcome.cost.total_usd
        return {
            **members,
            "finish_reason": choice["finish_reason"],
            "model": outcome.response_model or self._completion.info.model,
            "provider": self._call.target.provider,
            "usage": _usage(outcome.report),
            "cost": {
                "amount_usd": None if total is None else Raw(usd(total).encode()),
                "state": outcome.cost.state.value,
            },
            "time_ms": self._milliseconds(),
            "log_id": self._call.request_id,
        }


class GeneratedEvents:
    """A streamed answer; the protocol is `writer.AnswerWriter`."""

    media_type = EVENT_STREAM
    ping = comment("ping")

    def __init__(self, generated: Generated) -> None:
        self._generated = generated

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        self._generated.add(piece)
        events: list[bytes] = []
        for delta in piece.deltas:
            match delta:
                case TextDelta():
                    events.append(msgspec.json.encode({"text": delta.text}))
                case ReasoningDelta():
                    events.append(msgspec.json.encode({"reasoning": delta.text}))
                case RefusalDelta():
                    events.append(msgspec.json.encode({"refusal": delta.text}))
                case _:
                    pass  # whole in the summary
        return b"".join(map(data_event, events))

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        return data_event(self._generated.summary(outcome))

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG002 # it is in the headers
        """See `writer.AnswerWriter`."""
        return data_event(error_body(error))


def _usage(report: UsageReport) -> dict[str, object] | None:
    if report.source is UsageSource.UNKNOWN:
        return None
    usage = report.usage
    return {
        "input_tokens": usage.input_total,
        "output_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "reasoning_tokens": usage.output_reasoning,
        "source": report.source.value,
    }
