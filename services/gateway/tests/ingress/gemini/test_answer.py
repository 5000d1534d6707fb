"""Answers in Gemini's dialect, whole and streamed, judged by google-genai's own types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from google.genai.types import GenerateContentResponse

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError, UpstreamUnavailable
from llm_manager.core.messages import OpaqueBlock
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.gemini.answer import Answer, AnswerEvents
from llm_manager.gateway.ingress.gemini.framing import ArrayFraming, EventFraming
from llm_manager.gateway.ingress.gemini.signatures import blocks_in
from llm_manager.gateway.ingress.gemini.usage import usage_metadata
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.kit.sse import SseDecoder

Json = dict[str, Any]
FALLBACK = AnswerInfo(id="resp_1", model="gpt-x", created=7)
INFO = AnswerInfo(id="chatcmpl-9", model="gpt-x-2026", created=9)
USAGE = Usage(input_uncached=10, cache_read=5, cache_write_5m=1, output_text=3, output_reasoning=4, requests=1)
OUTCOME = Outcome(report=UsageReport(USAGE, UsageSource.PROVIDER))
COUNTED = {
    "promptTokenCount": 16,
    "candidatesTokenCount": 3,
    "totalTokenCount": 23,
    "cachedContentTokenCount": 5,
    "thoughtsTokenCount": 4,
}
ABOUT = {"modelVersion": "gpt-x-2026", "responseId": "chatcmpl-9"}
STOP = Finish(reason="stop")
BLOCK = OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking","signature":"\xc3\xa9+/="}')


def _call(index: int, name: str, *fragments: str) -> list[Delta]:
    start = ToolCallStart(index=index, id=f"c{index}", name=name)
    return [start, *(ToolCallArguments(index=index, fragment=fragment) for fragment in fragments)]


def _whole(*deltas: Delta, outcome: Outcome = OUTCOME) -> Json:
    answer = Answer(FALLBACK)
    answer.add(Piece(info=INFO))
    answer.add(Piece(deltas=deltas))
    body = answer.body(outcome)
    GenerateContentResponse.model_validate_json(body)
    return json.loads(body)


def _candidate(*deltas: Delta) -> Json:
    (candidate,) = _whole(*deltas)["candidates"]
    return candidate


def _stream(*pieces: Sequence[Delta]) -> list[Json]:
    writer = AnswerEvents(FALLBACK, EventFraming())
    data = writer.write(Piece(info=INFO)) + b"".join(writer.write(Piece(deltas=tuple(piece))) for piece in pieces)
    return _events(data + writer.finish(OUTCOME))


def _events(data: bytes) -> list[Json]:
    decoder = SseDecoder()
    events = [event.data for event in (*decoder.feed(data), *decoder.finish())]
    for event in events:
        GenerateContentResponse.model_validate_json(event)
    return [json.loads(event) for event in events]


def _chunk(*parts: Json, **members: Any) -> Json:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **members}], **ABOUT}


def _last(reason: str = "STOP", **members: Any) -> Json:
    return {**_chunk({"text": ""}, finishReason=reason, **members), "usageMetadata": COUNTED}


@pytest.mark.requirement("S23", "L-8", "P-5", "P-7", "T-11")
def test_an_answer_is_candidates_usage_model_and_id() -> None:
    assert _whole(ReasoningDelta(text="hm"), TextDelta(text="Hel"), TextDelta(text="lo"), STOP) == {
        "candidates": [
            {
                "content": {"parts": [{"text": "hm", "thought": True}, {"text": "Hello"}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": COUNTED,
        **ABOUT,
    }


@pytest.mark.requirement("L-29", "B-10", "P-1")
def test_parallel_calls_are_parts_of_their_own_with_exact_arguments() -> None:
    interleaved: list[Delta] = [
        *_call(0, "add", '{"a": 9007199254740993'),
        *_call(1, "now"),
        ToolCallArguments(index=0, fragment=', "b": 1.10}'),
        ToolCallArguments(index=1, fragment="null"),
        Finish(reason="tool_calls"),
    ]
    candidate = _candidate(*interleaved)
    assert (candidate["content"]["parts"], candidate["finishReason"]) == (
        [
            {"functionCall": {"id": "c0", "name": "add", "args": {"a": 9007199254740993, "b": 1.1}}},
            {"functionCall": {"id": "c1", "name": "now", "args": {}}},
        ],
        "STOP",
    )


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (Finish(reason="stop", native_reason="end_turn"), "STOP"),
        (Finish(reason="length", native_reason="length"), "MAX_TOKENS"),
        (Finish(reason="length", native_reason="OTHER"), "OTHER"),
        (Finish(reason="content_filter", native_reason="refusal"), "SAFETY"),
        (Finish(reason="content_filter", native_reason="RECITATION"), "RECITATION"),
        (Finish(reason="content_filter", native_reason="STOP"), "SAFETY"),
    ],
)
@pytest.mark.requirement("P-9", "L-30")
def test_the_reason_of_the_end_is_a_word_of_the_dialect(finish: Finish, reason: str) -> None:
    assert _candidate(TextDelta(text="x"), finish)["finishReason"] == reason


def test_a_cut_call_says_that_a_limit_cut_it_and_cannot_be_run() -> None:
    candidate = _candidate(*_call(0, "f", '{"a": "b'), Finish(reason="length"))
    (part,) = candidate["content"]["parts"]
    assert (part["functionCall"]["args"], candidate["finishReason"]) == ({"INVALID_JSON": '{"a": "b'}, "MAX_TOKENS")


@pytest.mark.requirement("L-30")
def test_a_call_that_is_no_json_is_malformed_and_no_success() -> None:
    candidate = _candidate(*_call(0, "f", "oops"), Finish(reason="tool_calls"))
    assert (candidate["finishReason"], candidate["finishMessage"]) == (
        "MALFORMED_FUNCTION_CALL",
        "Malformed function call: f(oops)",
    )


def test_a_refusal_is_text_and_an_empty_answer_has_one_empty_part() -> None:
    assert _candidate(RefusalDelta(text="No."), STOP)["content"]["parts"] == [{"text": "No."}]
    assert _candidate(TextDelta(text=""), STOP)["content"]["parts"] == [{"text": ""}]


def test_several_candidates_keep_their_index() -> None:
    answer = _whole(
        TextDelta(text="B", choice=1), TextDelta(text="A"), STOP, Finish(reason="length", choice=1)
    )  # fmt: skip
    assert [
        (item["index"], item["content"]["parts"][0]["text"], item["finishReason"]) for item in answer["candidates"]
    ] == [(0, "A", "STOP"), (1, "B", "MAX_TOKENS")]


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("is_stream", [False, True])
def test_blocks_of_another_provider_ride_in_a_signature(is_stream: bool) -> None:
    def parts(*deltas: Delta) -> list[Json]:
        chunks = _stream(deltas) if is_stream else [_whole(*deltas)]
        return [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]

    opaque = OpaqueDelta(block=BLOCK)
    _, signed = parts(TextDelta(text="Hi"), opaque, STOP)[:2]
    assert (signed["text"], blocks_in(signed["thoughtSignature"])) == ("", (BLOCK,))
    called = parts(TextDelta(text="Hi"), *_call(0, "f", "{}"), opaque, Finish(reason="tool_calls"))[1]
    assert called["functionCall"] == {"id": "c0", "name": "f", "args": {}}
    assert blocks_in(called["thoughtSignature"]) == (BLOCK,)


def test_sources_are_grounding_in_bytes() -> None:
    def cites(url: str, start: int, end: int) -> Annotation:
        citation = {"url": url, "title": "T", "start_index": start, "end_index": end}
        return Annotation(json=json.dumps({"type": "url_citation", "url_citation": citation}).encode())

    file = Annotation(json=b'{"type":"file_citation","file_citation":{"file_id":"f1","filename":"a.pdf"}}')
    text = TextDelta(text="é is so")
    sources = (cites("http://a", 0, 1), cites("http://b", 0, 1), cites("http://a", 2, 4), cites("http://a", 0, 0))
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "http://a", "title": "T"}},
            {"web": {"uri": "http://b", "title": "T"}},
            {"retrievedContext": {"title": "a.pdf"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 2, "text": "é"}, "groundingChunkIndices": [0, 1]},
            {"segment": {"startIndex": 3, "endIndex": 5, "text": "is"}, "groundingChunkIndices": [0]},
        ],
    }
    assert _candidate(text, *sources, file, STOP)["groundingMetadata"] == grounding
    assert _stream([text, *sources], [file, STOP])[-1] == _last(groundingMetadata=grounding)


def test_log_probabilities_are_in_the_words_of_the_dialect() -> None:
    top = [{"token": "Hi", "logprob": -0.1}, {"token": "Ho", "logprob": -2}]
    said = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72], "top_logprobs": top}], "refusal": None}
    deltas = (TextDelta(text="Hi"), Logprobs(json=json.dumps(said).encode()))
    result = {
        "chosenCandidates": [{"token": "Hi", "logProbability": -0.1}],
        "topCandidates": [
            {"candidates": [{"token": "Hi", "logProbability": -0.1}, {"token": "Ho", "logProbability": -2.0}]}
        ],
    }
    assert _candidate(*deltas, STOP)["logprobsResult"] == result
    assert _stream(deltas, [STOP]) == [_chunk({"text": "Hi"}, logprobsResult=result), _last()]


@pytest.mark.requirement("S23", "B-7")
def test_a_stream_has_one_id_and_its_usage_and_reason_at_the_end() -> None:
    pieces: list[list[Delta]] = [
        [ReasoningDelta(text="hm")],
        [TextDelta(text="Hel"), TextDelta(text="lo")],
        _call(0, "f", '{"a"'),
        [ToolCallArguments(index=0, fragment=":1}"), *_call(1, "g", "{}")],
        [Finish(reason="tool_calls")],
    ]
    assert _stream(*pieces) == [
        _chunk({"text": "hm", "thought": True}),
        _chunk({"text": "Hello"}),
        _chunk({"functionCall": {"id": "c0", "name": "f", "args": {"a": 1}}}),
        _chunk({"functionCall": {"id": "c1", "name": "g", "args": {}}}),
        _last(),
    ]


def test_a_later_description_does_not_change_the_id() -> None:
    writer = AnswerEvents(FALLBACK, EventFraming())
    data = writer.write(Piece(deltas=(TextDelta(text="a"),)))
    data += writer.write(Piece(info=INFO, deltas=(TextDelta(text="b"), STOP))) + writer.finish(OUTCOME)
    assert {(event["responseId"], event["modelVersion"]) for event in _events(data)} == {("resp_1", "gpt-x")}


def test_without_sse_a_stream_is_one_array() -> None:
    writer = AnswerEvents(FALLBACK, ArrayFraming())
    data = writer.ping + writer.write(Piece(info=INFO, deltas=(TextDelta(text="a"),))) + writer.ping
    data += writer.write(Piece(deltas=(TextDelta(text="b"), STOP))) + writer.ping + writer.finish(OUTCOME)
    assert json.loads(data) == [_chunk({"text": "a"}), _chunk({"text": "b"}), _last()]
    assert writer.media_type == "application/json; charset=utf-8"


@pytest.mark.requirement("L-26", "P-3", "L-30")
@pytest.mark.parametrize("framing", [EventFraming(), ArrayFraming()], ids=["sse", "array"])
def test_a_stream_that_breaks_ends_in_an_error_and_no_reason(framing: EventFraming | ArrayFraming) -> None:
    writer = AnswerEvents(FALLBACK, framing)
    data = writer.write(Piece(deltas=(TextDelta(text="a"),)))
    with pytest.raises(UpstreamProtocolError):
        writer.finish(OUTCOME)
    data += writer.fail(UpstreamUnavailable("Overloaded; retry.", retry_after_seconds=1.5), request_id="r1")
    if isinstance(framing, ArrayFraming):
        said, last = json.loads(data)
    else:
        said, last = [json.loads(line.removeprefix(b"data: ")) for line in data.split(b"\n\n") if line]
    assert "finishReason" not in said["candidates"][0]
    assert (last["error"]["code"], last["error"]["status"]) == (502, "UNAVAILABLE")


def test_an_answer_without_any_reason_is_broken() -> None:
    for deltas in ((), (TextDelta(text="x"),)):
        with pytest.raises(UpstreamProtocolError):
            _whole(*deltas)


def test_events_of_gemini_itself_pass_as_they_came() -> None:
    documents = (b'{"candidates": [ ], "future":1}', b'{"usageMetadata":{}}')
    for framing, expected in (
        (EventFraming(), b"data: %b\n\ndata: %b\n\n" % documents),
        (ArrayFraming(), b"[%b,\n%b]" % documents),
    ):
        writer = NativeEvents(framing.frame, fail=framing.fail, ping=framing.ping, end=framing.end)
        assert writer.write(Piece(native=documents)) + writer.finish(OUTCOME) == expected


@pytest.mark.parametrize(
    ("usage", "raw", "expected"),
    [
        (Usage(), b"", {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}),
        (
            Usage(input_uncached=12, output_text=2),
            b'{"toolUsePromptTokenCount":7}',
            {
                "promptTokenCount": 5,
                "candidatesTokenCount": 2,
                "totalTokenCount": 14,
                "toolUsePromptTokenCount": 7,
            },
        ),
        (
            Usage(input_uncached=1, input_audio=2, input_image=3, output_text=4, output_image=5),
            b"no json",
            {
                "promptTokenCount": 6,
                "candidatesTokenCount": 9,
                "totalTokenCount": 15,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 1},
                    {"modality": "AUDIO", "tokenCount": 2},
                    {"modality": "IMAGE", "tokenCount": 3},
                ],
                "candidatesTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 4},
                    {"modality": "IMAGE", "tokenCount": 5},
                ],
            },
        ),
    ],
)
@pytest.mark.requirement("L-8", "T-11")
def test_counts_stand_beside_each_other(usage: Usage, raw: bytes, expected: Json) -> None:
    assert usage_metadata(UsageReport(usage, UsageSource.PROVIDER, raw)) == expected
