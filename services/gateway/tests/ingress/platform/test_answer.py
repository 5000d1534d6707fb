"""The answer of the short form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError, UpstreamTimeout
from llm_manager.core.messages import ChatInput, OpaqueBlock
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Call, Caller, Outcome, Piece, Target
from llm_manager.gateway.ingress.platform.answer import Generated, GeneratedEvents
from llm_manager.kit.sse import SseDecoder

CALL = Call(
    request_id="r1",
    caller=Caller("app", "key"),
    target=Target(provider="openai-eu", kind="openai", upstream_model="gpt-x"),
    operation="chat",
    input=ChatInput(messages=()),
    requested_model="c",
    deadline_seconds=1,
)
FALLBACK = AnswerInfo(id="r1", model="gpt-x", created=7)
USAGE = Usage(input_uncached=10, cache_read=5, cache_write_5m=1, output_text=3, output_reasoning=4, requests=1)
PRICED = Outcome(
    report=UsageReport(USAGE, UsageSource.PROVIDER),
    cost=Cost(CostState.PRICED, 123_450_000),
    response_model="gpt-x-2026",
)
COUNTED = {
    "input_tokens": 16,
    "output_tokens": 7,
    "total_tokens": 23,
    "cache_read_tokens": 5,
    "cache_write_tokens": 1,
    "reasoning_tokens": 4,
    "source": "provider",
}
ACCOUNT = {
    "finish_reason": "stop",
    "model": "gpt-x-2026",
    "provider": "openai-eu",
    "usage": COUNTED,
    "cost": {"amount_usd": 0.00012345, "state": "priced"},
    "time_ms": 12,
    "log_id": "r1",
}
STOP = Finish(reason="stop")


def _generated() -> Generated:
    return Generated(CALL, FALLBACK, milliseconds=lambda: 12)


def _whole(*deltas: Delta, outcome: Outcome = PRICED) -> dict[str, Any]:
    generated = _generated()
    generated.add(Piece(deltas=deltas))
    return json.loads(generated.body(outcome))


def _events(data: bytes) -> list[dict[str, Any]]:
    decoder = SseDecoder()
    return [json.loads(event.data) for event in (*decoder.feed(data), *decoder.finish())]


@pytest.mark.requirement("S32")
def test_an_answer_is_text_usage_cost_time_and_log_id() -> None:
    assert _whole(TextDelta(text="Hel"), TextDelta(text="lo"), STOP) == {"text": "Hello", **ACCOUNT}


def test_an_answer_carries_calls_reasoning_and_the_blocks_of_its_provider() -> None:
    deltas: tuple[Delta, ...] = (
        ReasoningDelta(text="hm"),
        ToolCallStart(index=0, id="c0", name="look"),
        ToolCallArguments(index=0, fragment="{}"),
        OpaqueDelta(block=OpaqueBlock(dialect="anthropic_messages", json=b'{"signature":"x"}')),
        Finish(reason="tool_calls"),
    )
    assert _whole(*deltas) == {
        "text": "",
        "reasoning": "hm",
        "tool_calls": [{"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        "provider_blocks": [{"dialect": "anthropic_messages", "block": {"signature": "x"}}],
        **ACCOUNT,
        "finish_reason": "tool_calls",
    }


def test_what_nobody_knows_is_null() -> None:
    answer = _whole(RefusalDelta(text="No."), STOP, outcome=Outcome(report=UsageReport(source=UsageSource.UNKNOWN)))
    assert (answer["text"], answer["refusal"], answer["usage"]) == ("", "No.", None)
    assert (answer["cost"], answer["model"]) == ({"amount_usd": None, "state": "unpriced"}, "gpt-x")


def test_a_stream_is_texts_and_then_the_account() -> None:
    writer = GeneratedEvents(_generated())
    data = writer.write(Piece(deltas=(ReasoningDelta(text="hm"), TextDelta(text="Hel"))))
    data += writer.write(Piece(deltas=(TextDelta(text="lo"), STOP)))
    assert _events(data) == [{"reasoning": "hm"}, {"text": "Hel"}, {"text": "lo"}]
    assert _events(writer.finish(PRICED)) == [ACCOUNT]


def test_a_stream_that_breaks_says_why_and_gives_no_account() -> None:
    writer = GeneratedEvents(_generated())
    writer.write(Piece(deltas=(TextDelta(text="Hel"),)))
    with pytest.raises(UpstreamProtocolError):
        writer.finish(PRICED)
    (event,) = _events(writer.fail(UpstreamTimeout("too slow"), request_id="r1"))
    assert event["error"]["code"] == "upstream_timeout"
