"""Every recorded chat of Gemini, in both forms, however it was framed and wherever it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any  # JSON documents

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_manager.core.deltas import OpaqueDelta
from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, OpaqueBlock, Text
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import delta_violations

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

FACTS = load_facts()["gemini"]
ALL = ("chat", "embeddings", "models", "count_tokens")
CHATS = load(providers=("gemini",), operations=("chat",))
ANSWERS = [r for r in CHATS if r.status == 200]
STREAMS = [r for r in ANSWERS if r.is_stream]
REFUSALS = [
    r
    for part in ("open", "reconstructed")
    for r in load(providers=("gemini",), operations=ALL, part=part)
    if r.status != 200
]
# A turn that broke off is not answered, so it never comes back.
SIGNED = [r for r in ANSWERS if b'"thoughtSignature"' in r.body and r.expected["finish_reason_normalised"] != "error"]


def reader_of(recording: Recording, *, is_native: bool) -> AnswerReader:
    numbers = itertools.count()
    dialect = GeminiGenerate(FACTS, new_id=lambda: f"made-up-{next(numbers)}")
    if is_native:
        return dialect.native_chat_reader(is_stream=recording.is_stream)
    return dialect.chat_reader(is_stream=recording.is_stream)


def read(reader: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(reader.feed(piece))
    answer.extend(reader.finish())
    return answer


def documents_of(recording: Recording) -> list[dict[str, Any]]:
    body = recording.body.strip()
    if body[:1] == b"[":
        return json.loads(body)
    if body[:1] == b"{":
        return [json.loads(body)]
    return [json.loads(data) for _, data, _ in oracle().sse_events(body)]


def parts_of(recording: Recording) -> list[dict[str, Any]]:
    """The parts of the first candidate."""
    candidates = [document["candidates"][0] for document in documents_of(recording) if document.get("candidates")]
    return [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]


def is_failure(recording: Recording) -> bool:
    return recording.expected["finish_reason_normalised"] == "error"


def assert_error_and_usage(recording: Recording, reader: AnswerReader) -> None:
    expected = recording.expected
    assert (reader.error is not None) == is_failure(recording)
    report = reader.usage()
    assert usage_differences(None if report is None else report.usage, expected) == []
    if expected["usage_raw"] is None:
        assert report is None
        return
    assert report is not None
    assert json.loads(report.raw) == expected["usage_raw"]
    assert report.raw in recording.body
    raw = expected["usage_raw"]
    # Gemma's output is not counted, and two answers of July 2026 leave the prompt out.
    is_whole = "promptTokenCount" in raw and not (expected["text"].strip() and "candidatesTokenCount" not in raw)
    assert report.source is (UsageSource.PROVIDER if is_whole else UsageSource.ESTIMATED)
    if is_whole:
        total = report.usage.input_total + report.usage.output_total
        assert total == raw["totalTokenCount"]
        assert report.usage.output_reasoning == (expected["reasoning_tokens"] or 0)


@pytest.mark.requirement("S23", "L-29", "B-10", "P-7", "P-8", "P-9", "T-11")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_answer_comes_out_as_expected_in_neutral_form(recording: Recording, cut: str) -> None:
    reader = reader_of(recording, is_native=False)
    answer = read(reader, pieces_of(recording, cut))

    assert_error_and_usage(recording, reader)
    assert delta_violations(answer.deltas, is_error=reader.error is not None) == []
    if is_failure(recording):
        assert not answer
        return
    assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
    assert answer.info is not None
    assert answer.info.id == (recording.expected["id"] or "made-up-0")
    assert answer.info.model == reader.response_model == (recording.expected["model"] or "")
    assert reader.finish_reason == answer_of_deltas(answer.deltas).finish_reason
    assert reader.native_finish_reason == (recording.expected["finish_reason"] or "")
    assert list(reader.unknown_finish_reasons) == ([] if recording.expected["finish_reason"] else [""])


@pytest.mark.requirement("S23", "P-7")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_answer_passes_untouched_in_native_form(recording: Recording, cut: str) -> None:
    reader = reader_of(recording, is_native=True)
    documents = read(reader, pieces_of(recording, cut)).native

    assert_error_and_usage(recording, reader)
    if is_failure(recording):
        assert documents == []
        return
    assert [json.loads(document) for document in documents] == documents_of(recording)
    if recording.is_stream:
        assert not any(b"\n" in document for document in documents)
        body = b"".join(b"data: %b\r\n\r\n" % document for document in documents)
    else:
        (body,) = documents
        assert body == recording.body.strip()
    _, reading = oracle().read("gemini", recording.wire, 200, body)
    assert differences(answer_of_reading(reading), recording.expected) == []


@pytest.mark.requirement("L-30")
def test_recorded_call_of_a_tool_that_nobody_declared_is_an_error_that_says_so() -> None:
    (recording,) = [r for r in ANSWERS if is_failure(r)]
    reader = reader_of(recording, is_native=False)
    read(reader, pieces_of(recording, "whole"))

    assert isinstance(reader.error, UpstreamUnavailable)
    assert reader.error.upstream is not None
    assert (reader.error.upstream.http_status, reader.error.upstream.code) == (200, "UNEXPECTED_TOOL_CALL")
    assert "Model tried to call an undeclared function: list_files" in str(reader.error)
    assert (reader.finish_reason, reader.native_finish_reason) == ("", "UNEXPECTED_TOOL_CALL")


@pytest.mark.parametrize("recording", REFUSALS, ids=lambda r: r.id)
def test_recorded_refusal_becomes_the_error_that_clients_should_get(recording: Recording) -> None:
    error = error_of_answer(FACTS, status=recording.status, body=recording.body, headers=recording.headers)

    said = recording.expected["error"]
    is_key = "API key not valid" in said["message"]
    assert isinstance(error, UpstreamCredentialsExhausted if is_key else class_for(recording.status))
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.code) == (recording.status, str(said["code"]))
    assert error.upstream.type == (said["type"] or "NOT_FOUND")
    assert is_key or said["message"] in str(error)


def class_for(status: int) -> type[LlmManagerError]:
    if status == 429:
        return ProviderRateLimited
    return UpstreamRefused if status < 500 else UpstreamUnavailable


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("recording", SIGNED, ids=lambda r: r.id)
@on_every_cut
def test_signed_turn_goes_back_byte_for_byte(recording: Recording, cut: str) -> None:
    answer = read(reader_of(recording, is_native=False), pieces_of(recording, cut))
    blocks = tuple(delta.block for delta in answer.deltas if isinstance(delta, OpaqueDelta))

    messages = (
        Message(role="user", parts=(Text(text="Hello"),)),
        Message(role="assistant", parts=(Text(text="what neutral clients see"), *blocks)),
        Message(role="user", parts=(Text(text="Go on"),)),
    )
    call = GeminiGenerate(FACTS, new_id=str).chat(
        ChatInput(messages=messages), model="gemini-3-pro-preview", is_stream=False, policy=Policy()
    )
    sent = json.loads(call.body)["contents"][1]
    came = parts_of(recording)
    assert sent["role"] == "model"
    assert joined(sent["parts"]) == joined(came)
    if not recording.is_stream:
        assert sent["parts"] == came
    for part in came:
        if "thoughtSignature" in part:
            assert part in sent["parts"]
            assert json.dumps(part["thoughtSignature"]).encode() in call.body


def joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put together neighbouring text without signatures, which a stream cuts anywhere."""
    result: list[dict[str, Any]] = []
    for part in parts:
        is_text = set(part) <= {"text", "thought"}
        if is_text and result and set(result[-1]) == set(part):
            result[-1] = {**part, "text": result[-1]["text"] + part["text"]}
        elif not is_text or part["text"]:
            result.append(part)
    return result


@pytest.mark.requirement("B-17")
def test_turn_that_neutral_words_say_whole_needs_no_blocks() -> None:
    plain = [
        r
        for r in ANSWERS
        if not is_failure(r)
        and all(set(part) in ({"text"}, {"text", "thought"}, {"functionCall"}) for part in parts_of(r))
    ]
    assert len(plain) > 50
    for recording in plain:
        answer = read(reader_of(recording, is_native=False), pieces_of(recording, "whole"))
        assert not any(isinstance(delta, OpaqueDelta) for delta in answer.deltas)


@pytest.mark.requirement("T-14")
def test_tools_that_the_provider_runs_are_blocks_and_no_calls() -> None:
    run = [r for r in ANSWERS if b'"executableCode"' in r.body]
    assert len(run) > 3
    for recording in run:
        answer = read(reader_of(recording, is_native=False), pieces_of(recording, "whole"))
        assert answer_of_deltas(answer.deltas).tool_calls == [
            (call["name"], call["arguments"]) for call in recording.expected["tool_calls"]
        ]
        blocks = [json.loads(delta.block.json) for delta in answer.deltas if isinstance(delta, OpaqueDelta)]
        assert any("executableCode" in block for block in blocks)
        assert all(
            delta.block.dialect == "gemini_generate" for delta in answer.deltas if isinstance(delta, OpaqueDelta)
        )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_split_of_any_recorded_stream_gives_the_same_answer(data: st.DataObject) -> None:
    recording = data.draw(st.sampled_from([r for r in STREAMS if len(r.body) < 20_000]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(recording.body)), max_size=12)))
    edges = [0, *cuts, len(recording.body)]
    split = (recording.body[a:b] for a, b in itertools.pairwise(edges))

    whole = read(reader_of(recording, is_native=True), iter([recording.body]))
    pieces = read(reader_of(recording, is_native=True), split)

    assert pieces.native == whole.native


def test_stream_that_is_cut_off_is_an_error() -> None:
    cut = 0
    for recording in STREAMS:
        body = recording.body
        for size in (len(body) * tenths // 10 for tenths in range(10)):
            reader = reader_of(recording, is_native=True)
            read(reader, iter([body[:size]]))
            assert reader.error is not None
            cut += 1
    assert cut == 10 * len(STREAMS) > 400


def test_opaque_blocks_of_other_dialects_stay_out() -> None:
    foreign = OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking"}')
    message = Message(role="assistant", parts=(Text(text="Hi"), foreign))
    call = GeminiGenerate(FACTS, new_id=str).chat(
        ChatInput(messages=(message,)), model="m", is_stream=False, policy=Policy()
    )

    assert json.loads(call.body) == {"contents": [{"role": "model", "parts": [{"text": "Hi"}]}]}
