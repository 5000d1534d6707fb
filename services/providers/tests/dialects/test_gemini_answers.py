"""What Gemini's answers mean where no recording shows it."""

from __future__ import annotations

import json
from typing import Any  # JSON documents

import pytest
from google.genai.types import FinishReason

from llm_manager.core.deltas import (
    Annotation,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import ProviderRateLimited, UpstreamProtocolError, UpstreamUnavailable
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.gemini_generate.framing import JsonObjects
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.testing.answers import answer_of_deltas
from llm_manager.testing.stream_validator import delta_violations

FACTS = load_facts()["gemini"]
Json = dict[str, Any]


def reader(*, is_stream: bool = False, is_native: bool = False) -> AnswerReader:
    ids = iter(f"made-up-{number}" for number in range(99))
    dialect = GeminiGenerate(FACTS, new_id=lambda: next(ids))
    return dialect.native_chat_reader(is_stream=is_stream) if is_native else dialect.chat_reader(is_stream=is_stream)


def read(into: AnswerReader, body: bytes, size: int = 10**9) -> Pieces:
    pieces = Pieces()
    for at in range(0, len(body), size):
        pieces.extend(into.feed(body[at : at + size]))
    pieces.extend(into.finish())
    return pieces


def candidate(*parts: Json, finish: str | None = None, index: int | None = None, **more: object) -> Json:
    said: Json = {"content": {"parts": list(parts), "role": "model"}, **more}
    if finish is not None:
        said["finishReason"] = finish
    return said if index is None else {**said, "index": index}


def document(*candidates: Json, **more: object) -> Json:
    return {"candidates": list(candidates), "modelVersion": "gemini-x", "responseId": "r1", **more}


def whole(*candidates: Json, **more: object) -> bytes:
    return json.dumps(document(*candidates, **more), indent=2).encode()


def sse(*documents: Json) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in documents)


@pytest.mark.requirement("P-9")
def test_every_finish_reason_of_google_s_sdk_has_a_meaning() -> None:
    known = {reason.value for reason in FinishReason} - {"FINISH_REASON_UNSPECIFIED"}

    assert known == set(FACTS.finish_reasons)


@pytest.mark.requirement("P-9")
@pytest.mark.parametrize(("native", "meaning"), sorted(FACTS.finish_reasons.items()))
def test_finish_reason_is_told_in_neutral_words_or_is_an_error(native: str, meaning: str) -> None:
    into = reader()
    answer = read(into, whole(candidate({"text": "x"}, finish=native)))

    assert (into.error is not None) == (meaning == "error")
    said = [delta for delta in answer.deltas if isinstance(delta, Finish)]
    assert [(finish.reason, finish.native_reason) for finish in said] == (
        [] if meaning == "error" else [(meaning, native)]
    )
    assert into.unknown_finish_reasons == []


@pytest.mark.requirement("L-30")
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"])
def test_failure_of_the_provider_is_no_finish_in_any_form(reason: str, is_native: bool) -> None:
    stream = sse(document(candidate({"text": "Let me"})), document(candidate(finish=reason, finishMessage="print(")))
    into = reader(is_stream=True, is_native=is_native)
    answer = read(into, stream, 7)

    assert isinstance(into.error, UpstreamUnavailable)
    assert reason in str(into.error)
    assert "print(" in str(into.error)
    assert not any(isinstance(delta, Finish) for delta in answer.deltas)
    assert len(answer.native) == (1 if is_native else 0)


def test_reason_that_nobody_knows_is_told_and_promises_least() -> None:
    into = reader()
    answer = read(into, whole(candidate({"text": "x"}, finish="SOLAR_FLARE")))

    assert answer.deltas[-1] == Finish(reason="length", native_reason="SOLAR_FLARE")
    assert into.unknown_finish_reasons == ["SOLAR_FLARE"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_prompt_that_was_blocked_is_a_finish_with_the_provider_s_reason(is_stream: bool) -> None:
    refused = {"promptFeedback": {"blockReason": "MODEL_ARMOR"}, "usageMetadata": {"promptTokenCount": 4}}
    into = reader(is_stream=is_stream)
    answer = read(into, sse(refused) if is_stream else json.dumps(refused).encode())

    assert into.error is None
    assert answer.deltas == [Finish(reason="content_filter", native_reason="MODEL_ARMOR")]
    native = reader(is_stream=is_stream, is_native=True)
    assert [json.loads(one) for one in read(native, sse(refused)[6:] if not is_stream else sse(refused)).native] == [
        refused
    ]
    assert (native.finish_reason, native.native_finish_reason) == ("content_filter", "MODEL_ARMOR")


@pytest.mark.requirement("P-8")
def test_all_parts_of_all_chunks_are_read_and_calls_are_numbered_through_the_answer() -> None:
    stream = sse(
        document(
            candidate(
                {"text": "Hm", "thought": True},
                {"text": "I look."},
                {"functionCall": {"name": "weather", "args": {"city": "Rome", "n": 1.50}}},
                index=0,
            )
        ),
        document(candidate({"functionCall": {"name": "weather", "id": "own"}}, {"text": "Wait."}, index=0)),
        document(candidate(finish="STOP", index=0)),
    )
    into = reader(is_stream=True)
    answer = read(into, stream, 7)

    assert delta_violations(answer.deltas) == []
    assert answer.deltas[1:6] == [
        TextDelta(text="I look."),
        ToolCallStart(index=0, id="made-up-0", name="weather"),
        ToolCallArguments(index=0, fragment='{"city": "Rome", "n": 1.5}'),
        ToolCallStart(index=1, id="own", name="weather"),
        ToolCallArguments(index=1, fragment="{}"),
    ]
    assert answer_of_deltas(answer.deltas).finish_reason == "tool_calls"
    assert into.written.reasoning == {0: 2}


@pytest.mark.requirement("L-29")
def test_several_candidates_are_several_choices() -> None:
    stream = sse(
        document(candidate({"text": "A"}, index=0), candidate({"text": "B"}, index=1)),
        document(candidate({"functionCall": {"name": "f"}}, index=1, finish="STOP")),
        document(candidate({"text": "a"}, index=0, finish="MAX_TOKENS")),
    )
    answer = read(reader(is_stream=True), stream, 7)

    assert delta_violations(answer.deltas) == []
    assert answer_of_deltas(answer.deltas).choices_text == ["Aa", "B"]
    assert answer.deltas[-2:] == [
        Finish(reason="length", native_reason="MAX_TOKENS"),
        Finish(reason="tool_calls", native_reason="STOP", choice=1),
    ]
    unnumbered = read(reader(), whole(candidate({"text": "A"}, finish="STOP"), candidate({"text": "B"}, finish="STOP")))
    assert answer_of_deltas(unnumbered.deltas).choices_text == ["A", "B"]


ERROR = {"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.requirement("L-26")
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        sse(document(candidate({"text": "Hal"})), ERROR),
        json.dumps([document(candidate({"text": "Hal"})), ERROR], indent=1).encode(),
        json.dumps([ERROR]).encode(),
        json.dumps(ERROR).encode(),
    ],
    ids=["events", "array", "only in an array", "one document"],
)
def test_error_inside_a_good_stream_is_an_error_and_no_finish(body: bytes, is_native: bool) -> None:
    into = reader(is_stream=True, is_native=is_native)
    answer = read(into, body, 7)

    assert isinstance(into.error, ProviderRateLimited)
    assert into.error.upstream is not None
    assert (into.error.upstream.http_status, into.error.upstream.code) == (200, "429")
    assert into.error.upstream.type == "RESOURCE_EXHAUSTED"
    assert "Resource exhausted." in str(into.error)
    has_begun = b"Hal" in body
    assert bool(answer) == has_begun
    assert into.written.text == ({0: 3} if has_begun else {})
    assert not any(isinstance(delta, Finish) for delta in answer.deltas)


def test_usage_behind_an_error_still_counts() -> None:
    into = reader(is_stream=True)
    read(into, sse(ERROR, document(usageMetadata={"promptTokenCount": 4, "totalTokenCount": 4})))

    report = into.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=4)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("body", [b"", b"upstream connect error", b"{}", b'{"candidates":[]}', b"[", b'{"candid'])
def test_answer_that_holds_none_is_an_error(body: bytes, is_stream: bool) -> None:
    into = reader(is_stream=is_stream)
    answer = read(into, body)

    assert isinstance(into.error, UpstreamProtocolError)
    assert answer.deltas == []


def test_whole_answer_where_a_stream_was_asked_is_read() -> None:
    into = reader(is_stream=True)
    answer = read(into, whole(candidate({"text": "Hi"})), 7)

    assert into.error is None
    assert answer.deltas == [TextDelta(text="Hi"), Finish(reason="stop")]
    assert into.unknown_finish_reasons == [""]


@pytest.mark.requirement("B-17")
def test_text_of_a_stream_is_put_together_around_what_is_signed() -> None:
    stream = sse(
        document(candidate({"text": "A", "thought": True})),
        document(candidate({"text": "B", "thought": True})),
        document(candidate({"text": "C"})),
        document(candidate({"text": "D"})),
        document(candidate({"text": "E", "thoughtSignature": "sig=="})),
        document(candidate({"text": "F"})),
        document(candidate({"text": "", "thoughtSignature": "end="}, finish="STOP")),
    )
    answer = read(reader(is_stream=True), stream)

    blocks = [json.loads(delta.block.json) for delta in answer.deltas if isinstance(delta, OpaqueDelta)]
    assert blocks == [
        {"text": "AB", "thought": True},
        {"text": "CD"},
        {"text": "E", "thoughtSignature": "sig=="},
        {"text": "F"},
        {"text": "", "thoughtSignature": "end="},
    ]
    assert isinstance(answer.deltas[-1], Finish)
    assert answer_of_deltas(answer.deltas).text == "CDEF"


def said_annotations(deltas: list[Delta]) -> list[Json]:
    return [json.loads(delta.json) for delta in deltas if isinstance(delta, Annotation)]


def test_grounding_is_told_in_characters_of_the_text() -> None:
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"maps": {"uri": "https://b.example"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 8, "text": "Zürich "}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 8, "endIndex": 11, "text": "is"}, "groundingChunkIndices": [0, 1, 7]},
            {"segment": {"startIndex": 900, "endIndex": 911, "text": "nowhere"}, "groundingChunkIndices": [0]},
        ],
    }
    answer = read(
        reader(is_stream=True),
        sse(
            document(candidate({"text": "Zürich "}, groundingMetadata={})),
            document(candidate({"text": "is big"}, finish="STOP", groundingMetadata=grounding)),
        ),
    )

    def citation(url: str, title: str, start: int, end: int) -> Json:
        where = {"url": url, "title": title, "start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": where}

    assert said_annotations(answer.deltas) == [
        citation("https://a.example", "A", 0, 7),
        citation("https://a.example", "A", 7, 9),
        citation("https://b.example", "https://b.example", 7, 9),
    ]


def test_citation_without_a_source_that_can_be_opened_is_left_out() -> None:
    sources = [{"startIndex": 1, "endIndex": 3, "uri": "https://a.example"}, {"startIndex": 0, "endIndex": 2}]
    answer = read(
        reader(), whole(candidate({"text": "abc"}, finish="STOP", citationMetadata={"citationSources": sources}))
    )

    assert [one["url_citation"]["start_index"] for one in said_annotations(answer.deltas)] == [1]


def test_log_probabilities_are_told_in_openai_s_shape() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 7, "logProbability": -0.25}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.25}, {"token": "e"}]}],
    }
    answer = read(reader(), whole(candidate({"text": "é"}, finish="STOP", logprobsResult=result)))

    (said,) = [json.loads(delta.json) for delta in answer.deltas if isinstance(delta, Logprobs)]
    chosen = {"token": "é", "logprob": -0.25, "bytes": [195, 169]}
    other = {"token": "e", "logprob": 0.0, "bytes": [101]}
    assert said == {"content": [{**chosen, "top_logprobs": [chosen, other]}], "refusal": None}


@pytest.mark.parametrize("size", range(1, 12))
def test_objects_are_found_wherever_the_bytes_are_split(size: int) -> None:
    documents: list[Json] = [{"a": 'quote " brace } back \\'}, {"b": {"c": ["{", "[", "\\\\", '\\"']}}, {}]
    body = b"\n ,".join(json.dumps(one).encode() for one in documents).join((b"[", b"]"))
    splitter = JsonObjects()
    found = [one for at in range(0, len(body), size) for one in splitter.feed(body[at : at + size])]

    assert [json.loads(one) for one in found] == documents
    assert splitter.finish() == []


def test_document_without_an_end_cannot_fill_the_memory() -> None:
    splitter = JsonObjects(max_bytes=10)

    with pytest.raises(UpstreamProtocolError):
        splitter.feed(b'{"text":"endless')
