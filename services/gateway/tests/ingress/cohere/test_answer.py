"""Whole answers in Cohere's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cohere.v2.types.v2chat_response import V2ChatResponse

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
from llm_manager.gateway.ingress.cohere.answer import Answer

Json = dict[str, Any]
FALLBACK = AnswerInfo(id="x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9)
REPORT = UsageReport(
    Usage(input_uncached=3, cache_read=20, output_text=11, output_reasoning=2, requests=1), UsageSource.PROVIDER
)
STOP = Finish(reason="stop")


def answered(*deltas: Delta, info: AnswerInfo | None = INFO, report: UsageReport = REPORT) -> Json:
    answer = Answer(FALLBACK)
    answer.add(Piece(info=info))
    for delta in deltas:
        answer.add(Piece(deltas=(delta,)))
    body = answer.body(Outcome(report=report))
    V2ChatResponse.model_validate_json(body)
    return json.loads(body)


@pytest.mark.requirement("S26", "T-13", "L-7", "L-8")
def test_a_whole_answer_is_exactly_this() -> None:
    assert answered(TextDelta(text="Hi"), TextDelta(text="!"), STOP) == {
        "id": "a1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi!"}]},
        "usage": {
            "billed_units": {"input_tokens": 23, "output_tokens": 13},
            "tokens": {"input_tokens": 23, "output_tokens": 13, "reasoning_tokens": 2},
            "cached_tokens": 20,
        },
    }


@pytest.mark.requirement("L-8")
def test_what_is_charged_may_be_other_than_what_was_counted() -> None:
    billed = Usage(input_uncached=1, output_text=2, search_units=4)
    usage = answered(STOP, report=UsageReport(Usage(input_uncached=9), UsageSource.PROVIDER, billed=billed))["usage"]
    assert usage["billed_units"] == {"input_tokens": 1, "output_tokens": 2, "search_units": 4}
    assert usage["tokens"] == {"input_tokens": 9, "output_tokens": 0}


def test_an_estimate_says_so_and_the_unknown_is_null() -> None:
    assert answered(STOP, report=UsageReport(Usage(), UsageSource.ESTIMATED))["usage"]["is_estimated"] is True
    assert answered(STOP, report=UsageReport(Usage(), UsageSource.UNKNOWN))["usage"] is None


def test_an_answer_without_a_word_about_itself_still_has_an_id() -> None:
    assert answered(STOP, info=None)["id"] == "x"
    assert answered(STOP, info=AnswerInfo(id="", model="", created=0))["id"] == "x"


@pytest.mark.requirement("B-7", "B-10")
def test_thoughts_texts_and_calls_have_their_places() -> None:
    answer = answered(
        ReasoningDelta(text="hm"),
        RefusalDelta(text="no"),
        ToolCallStart(index=0, id="c1", name="f"),
        ToolCallArguments(index=0, fragment='{"a":'),
        ToolCallStart(index=1, id="c2", name="g"),
        ToolCallArguments(index=1, fragment="null"),
        ToolCallArguments(index=0, fragment="1}"),
        Finish(reason="tool_calls"),
    )
    assert answer["finish_reason"] == "TOOL_CALL"
    assert answer["message"] == {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "no"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_calls_alone_have_no_content_and_nothing_has_an_empty_text() -> None:
    called = answered(ToolCallStart(index=0, id="c1", name="f"), Finish(reason="tool_calls"))["message"]
    assert "content" not in called
    assert answered(TextDelta(text=""), STOP)["message"]["content"] == [{"type": "text", "text": ""}]


REASONS: list[tuple[FinishReason, str, str]] = [
    ("stop", "", "COMPLETE"),
    ("stop", "STOP_SEQUENCE", "STOP_SEQUENCE"),
    ("stop", "stop_sequence", "STOP_SEQUENCE"),
    ("length", "ERROR_LIMIT", "MAX_TOKENS"),
    ("tool_calls", "", "TOOL_CALL"),
    ("content_filter", "SAFETY", "ERROR_TOXIC"),
]


@pytest.mark.requirement("B-10")
@pytest.mark.parametrize(("reason", "native", "said"), REASONS)
def test_why_it_ended_is_said_in_cohere_s_words(reason: FinishReason, native: str, said: str) -> None:
    assert answered(Finish(reason=reason, native_reason=native))["finish_reason"] == said


@pytest.mark.requirement("S26", "B-17", "T-14")
def test_what_cohere_said_about_its_turn_stands_where_its_clients_look_for_it() -> None:
    own = b'{"role":"assistant","tool_plan":"First f.","citations":[{"start":0, "end":1, "text":"a"}]}'
    message = answered(
        TextDelta(text="a"),
        Annotation(json=b'{"type":"url_citation","url_citation":{"url":"https://a"}}'),
        OpaqueDelta(block=OpaqueBlock(dialect="cohere_v2", json=own)),
        STOP,
    )["message"]
    assert message["tool_plan"] == "First f."
    assert message["citations"] == [{"start": 0, "end": 1, "text": "a"}]
    assert "provider_blocks" not in message


@pytest.mark.requirement("B-17", "T-14")
def test_blocks_of_another_provider_come_along() -> None:
    block = OpaqueBlock(dialect="gemini_generate", json=b'{"s":1}')
    assert answered(OpaqueDelta(block=block), STOP)["message"]["provider_blocks"] == [
        {"dialect": "gemini_generate", "block": {"s": 1}}
    ]


def test_annotations_become_citations_of_their_block() -> None:
    def annotation(url: str, **place: int) -> Annotation:
        cited = {"type": "url_citation", "url_citation": {"url": url, "title": "T", **place}}
        return Annotation(json=json.dumps(cited).encode())

    message = answered(
        TextDelta(text="abc"),
        ReasoningDelta(text="hm"),
        TextDelta(text="defg"),
        annotation("https://1", start_index=1, end_index=3),
        annotation("https://2", start_index=4, end_index=6),
        annotation("https://3"),
        annotation("https://4", start_index=90, end_index=99),
        Annotation(json=b'{"type":"file_citation","file_id":"f"}'),
        STOP,
    )["message"]
    cited = [(item["content_index"], item["start"], item["end"], item["text"]) for item in message["citations"]]
    assert cited == [(0, 1, 3, "bc"), (2, 1, 3, "ef"), (2, 0, 4, "defg"), (2, 0, 4, "defg"), (2, 0, 4, "defg")]
    assert message["citations"][0]["sources"] == [
        {"type": "document", "id": "https://1", "document": {"id": "https://1", "url": "https://1", "title": "T"}}
    ]
    assert message["citations"][-1]["sources"] == [
        {"type": "document", "document": {"type": "file_citation", "file_id": "f"}}
    ]
    assert "citations" not in answered(annotation("https://1"), STOP)["message"]


def test_log_probabilities_are_cohere_s() -> None:
    weighed = Logprobs(json=b'{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[]}],"refusal":null}')
    expected = [{"text": "a", "token_ids": [], "logprobs": [-0.5]}]
    assert answered(TextDelta(text="a"), weighed, STOP)["logprobs"] == expected
    assert answered(weighed, TextDelta(text="a"), STOP)["logprobs"] == expected


def test_other_choices_are_left_out() -> None:
    said = answered(TextDelta(text="a"), TextDelta(text="b", choice=1), Finish(reason="length", choice=1), STOP)
    assert (said["message"]["content"], said["finish_reason"]) == ([{"type": "text", "text": "a"}], "COMPLETE")


@pytest.mark.requirement("P-3", "L-29")
@pytest.mark.parametrize(
    "deltas",
    [(TextDelta(text="a"),), (STOP, TextDelta(text="a")), (ToolCallArguments(index=0, fragment="{}"), STOP)],
)
def test_what_is_no_whole_answer_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        answered(*deltas)
