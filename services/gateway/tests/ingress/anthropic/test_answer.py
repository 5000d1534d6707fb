"""Whole answers in Anthropic's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    FinishReason,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import OpaqueBlock
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.anthropic.answer import Answer
from llm_manager.gateway.ingress.anthropic.mark import MARK
from llm_manager.gateway.ingress.opaque import unpacked

Json = dict[str, Any]
FALLBACK = AnswerInfo(id="msg_x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9, system_fingerprint="fp", service_tier="default")
USAGE = Usage(
    input_uncached=3, cache_read=20, cache_write_5m=5, cache_write_1h=7, output_text=11, output_reasoning=2, requests=1
)
REPORT = UsageReport(USAGE, UsageSource.PROVIDER)
STOP = Finish(reason="stop")


def answered(
    *deltas: Delta, info: AnswerInfo | None = INFO, report: UsageReport = REPORT, stops: tuple[str, ...] = ()
) -> Json:
    answer = Answer(FALLBACK, stops=stops)
    answer.add(Piece(info=info))
    for delta in deltas:
        answer.add(Piece(deltas=(delta,)))
    body = answer.body(Outcome(report=report))
    Message.model_validate_json(body, strict=True)
    return json.loads(body)


@pytest.mark.requirement("T-13", "L-7", "L-8", "P-5")
def test_a_whole_message_is_exactly_this() -> None:
    assert answered(TextDelta(text="Hi"), TextDelta(text="!"), STOP) == {
        "id": "a1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": [{"type": "text", "text": "Hi!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 12,
            "cache_read_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7},
            "output_tokens": 13,
            "output_tokens_details": {"thinking_tokens": 2},
            "service_tier": "standard",
        },
    }


def test_an_answer_that_says_nothing_about_itself_still_has_an_identity() -> None:
    message = answered(STOP, info=None)
    assert (message["id"], message["model"], message["content"]) == ("msg_x", "m", [])
    assert "service_tier" not in message["usage"]
    nameless = answered(STOP, info=AnswerInfo(id="", model="", created=0, service_tier="flex"))
    assert (nameless["id"], nameless["model"]) == ("msg_x", "m")
    assert "service_tier" not in nameless["usage"]


def test_counts_that_are_estimates_say_so() -> None:
    usage = answered(STOP, report=UsageReport(Usage(input_uncached=3, output_text=4), UsageSource.ESTIMATED))["usage"]
    assert (usage["is_estimated"], usage["input_tokens"], usage["output_tokens"]) == (True, 3, 4)
    assert "is_estimated" not in answered(STOP)["usage"]


def test_searches_that_the_provider_made_are_counted() -> None:
    usage = answered(STOP, report=UsageReport(Usage(search_units=2), UsageSource.PROVIDER))["usage"]
    assert usage["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}


@pytest.mark.requirement("L-29", "P-1")
def test_everything_stands_in_the_order_in_which_it_was_said() -> None:
    message = answered(
        ReasoningDelta(text="h"),
        ReasoningDelta(text="m"),
        TextDelta(text="I look."),
        ToolCallStart(index=0, id="c0", name="f"),
        ToolCallStart(index=1, id="c1", name="g"),
        ToolCallArguments(index=1, fragment='{"b":'),
        ToolCallArguments(index=0, fragment='{"seed":12345678901234567890}'),
        ToolCallArguments(index=1, fragment="1.0}"),
        Logprobs(json=b"{}"),
        Finish(reason="tool_calls"),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": MARK},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "c0", "name": "f", "input": {"seed": 12345678901234567890}},
        {"type": "tool_use", "id": "c1", "name": "g", "input": {"b": 1.0}},
    ]
    assert message["stop_reason"] == "tool_use"


INPUTS: list[tuple[str, Json]] = [
    ("", {}),
    ("null", {}),
    (" null ", {}),
    ('{"a":1', {"INVALID_JSON": '{"a":1'}),
    ("[1]", {"INVALID_JSON": "[1]"}),
]


@pytest.mark.parametrize(("arguments", "wanted"), INPUTS)
def test_arguments_are_always_an_object(arguments: str, wanted: Json) -> None:
    call = ToolCallStart(index=0, id="c", name="f")
    message = answered(call, ToolCallArguments(index=0, fragment=arguments), Finish(reason="tool_calls"))
    assert message["content"][0]["input"] == wanted


REASONS: list[tuple[FinishReason, str, str]] = [
    ("stop", "", "end_turn"),
    ("stop", "end_turn", "end_turn"),
    ("stop", "stop_sequence", "stop_sequence"),
    ("stop", "STOP_SEQUENCE", "stop_sequence"),
    ("stop", "pause_turn", "pause_turn"),
    ("length", "length", "max_tokens"),
    ("length", "model_context_window_exceeded", "model_context_window_exceeded"),
    ("length", "some_new_reason", "max_tokens"),
    ("tool_calls", "stop", "tool_use"),
    ("content_filter", "SAFETY", "refusal"),
]


@pytest.mark.requirement("P-9", "L-30")
@pytest.mark.parametrize(("reason", "native", "wanted"), REASONS)
def test_every_reason_to_stop_has_anthropic_s_word(reason: FinishReason, native: str, wanted: str) -> None:
    assert answered(Finish(reason=reason, native_reason=native))["stop_reason"] == wanted


STOPPED = Finish(reason="stop", native_reason="stop_sequence")
SEQUENCES: list[tuple[Finish, tuple[str, ...], str | None]] = [
    (STOPPED, ("END",), "END"),
    (STOPPED, ("END", "STOP"), None),
    (STOPPED, (), None),
    (STOP, ("END",), None),
]


@pytest.mark.parametrize(("finish", "stops", "wanted"), SEQUENCES)
def test_the_sequence_that_stopped_is_named_when_it_can_only_be_one(
    finish: Finish, stops: tuple[str, ...], wanted: str | None
) -> None:
    assert answered(TextDelta(text="a"), finish, stops=stops)["stop_sequence"] == wanted


def test_a_refusal_is_text_that_says_so_at_its_end() -> None:
    message = answered(RefusalDelta(text="I will"), RefusalDelta(text=" not."), STOP)
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "I will not."}], "refusal")
    cut = answered(RefusalDelta(text="I will"), Finish(reason="length"))
    assert cut["stop_reason"] == "max_tokens"


def cite(url: str, *, start: int = 0, title: str | None = "T") -> Annotation:
    citation = {"url": url, "title": title, "start_index": start, "end_index": start + 1}
    return Annotation(json=json.dumps({"type": "url_citation", "url_citation": citation}).encode())


def cited(url: str, title: str | None = "T") -> Json:
    location = {"type": "web_search_result_location", "url": url, "title": title}
    return {**location, "cited_text": "", "encrypted_index": MARK}


def test_sources_stand_at_the_text_that_they_belong_to() -> None:
    message = answered(
        TextDelta(text="first"),
        ReasoningDelta(text="hm"),
        TextDelta(text="second"),
        cite("u1"),
        cite("u2", start=6, title=None),
        Annotation(json=b'{"type":"file_citation"}'),
        STOP,
    )
    assert [block.get("citations") for block in message["content"]] == [[cited("u1")], None, [cited("u2", None)]]


@pytest.mark.requirement("B-17", "T-14")
def test_another_provider_s_blocks_come_in_one_that_the_dialect_has() -> None:
    blocks = tuple(OpaqueBlock(dialect="gemini_generate", json=b'{"n" : %d}' % n) for n in (1, 2))
    message = answered(TextDelta(text="a"), *(OpaqueDelta(block=block) for block in blocks), STOP)
    text, carried = message["content"]
    assert (text, carried["type"]) == ({"type": "text", "text": "a"}, "redacted_thinking")
    assert unpacked(carried["data"]) == blocks


def test_only_the_first_choice_is_anthropic_s() -> None:
    message = answered(TextDelta(text="b", choice=1), TextDelta(text="a"), STOP, Finish(reason="length", choice=1))
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "a"}], "end_turn")


BROKEN: list[tuple[Delta, ...]] = [
    (),
    (TextDelta(text="Hi"),),
    (STOP, TextDelta(text="Hi")),
    (STOP, STOP),
    (ToolCallArguments(index=0, fragment="{}"), STOP),
]


@pytest.mark.requirement("L-26")
@pytest.mark.parametrize("deltas", BROKEN)
def test_an_answer_that_breaks_its_form_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        answered(*deltas)
