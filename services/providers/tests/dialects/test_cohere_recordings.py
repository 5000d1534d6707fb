"""Every recorded answer of Cohere's version 2, in both forms, wherever it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any  # JSON documents

import pytest

from llm_manager.core.deltas import OpaqueDelta
from llm_manager.core.errors import UpstreamRefused
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, OpaqueBlock, Text
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.cohere_v2.dialect import CohereV2
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import delta_violations

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

FACTS = load_facts()["cohere"]
ALL = [r for r in load(providers=("cohere",)) if r.wire != "cohere.chat.v1"]
CHATS = [r for r in ALL if r.operation == "chat" and r.status == 200]
VECTORS = [r for r in ALL if r.operation == "embeddings" and r.status == 200]
REFUSALS = [r for r in ALL if r.status != 200] + [
    r for r in load(providers=("cohere",), part="reconstructed") if r.status != 200
]


def dialect() -> CohereV2:
    numbers = itertools.count()
    return CohereV2(FACTS, new_id=lambda: f"made-up-{next(numbers)}")


def read(reader: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(reader.feed(piece))
    answer.extend(reader.finish())
    return answer


def expected_of(recording: Recording) -> Mapping[str, Any]:
    """What must come out: a call without arguments is one with an empty object (recordings, quirk 21)."""
    calls = [
        {**call, "arguments": call["arguments"] if call["arguments"] != "" else "{}"}
        for call in recording.expected["tool_calls"]
    ]
    return {**recording.expected, "tool_calls": calls}


def assert_error_and_usage(recording: Recording, reader: AnswerReader) -> None:
    expected = recording.expected
    assert (reader.error is not None) == (expected["finish_reason_normalised"] == "error")
    report = reader.usage()
    assert usage_differences(None if report is None else report.usage, expected) == []
    if expected["usage_raw"] is None:
        assert report is None
        return
    assert report is not None
    assert report.source is UsageSource.PROVIDER
    assert json.loads(report.raw) == expected["usage_raw"]
    billed = expected["usage_raw"].get("billed_units", {})
    if report.billed is not None:
        assert (report.billed.input_total, report.billed.output_total) == (
            billed.get("input_tokens", 0),
            billed.get("output_tokens", 0),
        )


@pytest.mark.requirement("S26", "L-29", "B-10", "P-7")
@pytest.mark.parametrize("recording", CHATS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_answer_comes_out_as_expected_in_neutral_form(recording: Recording, cut: str) -> None:
    reader = dialect().chat_reader(is_stream=recording.is_stream)
    answer = read(reader, pieces_of(recording, cut))
    assert_error_and_usage(recording, reader)
    assert delta_violations(answer.deltas, is_error=reader.error is not None) == []
    if reader.error is not None:
        return
    assert differences(answer_of_deltas(answer.deltas), expected_of(recording)) == []
    assert answer.info is not None
    assert answer.info.id == (recording.expected["id"] or "made-up-0")
    assert reader.native_finish_reason == (recording.expected["finish_reason"] or "")
    assert list(reader.unknown_finish_reasons) == []


@pytest.mark.requirement("S26", "P-7")
@pytest.mark.parametrize("recording", CHATS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_answer_passes_through_unchanged_for_its_own_clients(recording: Recording, cut: str) -> None:
    reader = dialect().native_chat_reader(is_stream=recording.is_stream)
    answer = read(reader, pieces_of(recording, cut))
    assert_error_and_usage(recording, reader)
    if reader.error is not None:
        return
    if not recording.is_stream:
        assert answer.native == [recording.body.strip()]
        return
    sent = [json.loads(data) for _, data, _ in oracle().sse_events(recording.body) if data.strip() != "[DONE]"]
    assert [json.loads(document) for document in answer.native] == sent


@pytest.mark.parametrize("recording", CHATS, ids=lambda r: r.id)
def test_a_stream_that_is_cut_before_its_end_is_an_error(recording: Recording) -> None:
    reader = dialect().chat_reader(is_stream=recording.is_stream)
    cut = recording.body[: recording.body.rfind(b"message-end" if recording.is_stream else b"}") - 8]
    read(reader, iter([cut]))
    assert reader.error is not None


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("recording", [r for r in CHATS if not r.is_stream], ids=lambda r: r.id)
def test_a_turn_goes_back_byte_for_byte(recording: Recording) -> None:
    reader = dialect().chat_reader(is_stream=False)
    deltas = read(reader, iter([recording.body])).deltas
    blocks = [delta.block for delta in deltas if isinstance(delta, OpaqueDelta)]
    if reader.error is not None or not blocks:
        return
    messages = (
        Message(role="user", parts=(Text(text="Hi"),)),
        Message(role="assistant", parts=(Text(text="beside"), *blocks)),
        Message(role="user", parts=(Text(text="Go on."),)),
    )
    call = dialect().chat(ChatInput(messages=messages), model="m", is_stream=False, policy=Policy())
    assert blocks[0].json in call.body
    assert b"beside" not in call.body
    message = json.loads(recording.body)["message"]
    assert json.loads(call.body)["messages"][1] == message


def test_blocks_of_other_providers_are_left_out() -> None:
    other = OpaqueBlock(dialect="gemini_generate", json=b'{"text":"x","thoughtSignature":"s"}')
    messages = (
        Message(role="user", parts=(Text(text="Hi"),)),
        Message(role="assistant", parts=(Text(text="Hello"), other)),
    )
    call = dialect().chat(ChatInput(messages=messages), model="m", is_stream=False, policy=Policy())
    assert json.loads(call.body)["messages"][1] == {"role": "assistant", "content": "Hello"}


@pytest.mark.requirement("S26", "S34")
@pytest.mark.parametrize("recording", VECTORS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_vectors_come_out_in_order(recording: Recording, cut: str) -> None:
    expected = recording.expected
    native = dialect().native_embeddings_reader()
    assert read(native, pieces_of(recording, cut)).native == [recording.body.strip()]
    reader = dialect().embeddings_reader()
    answer = read(reader, pieces_of(recording, cut))
    answered: dict[str, Any] = json.loads(recording.body)
    has_types = answered.get("response_type") == "embeddings_by_type"
    numbers: list[list[float]] | None = answered["embeddings"].get("float") if has_types else answered["embeddings"]
    if numbers is None:
        assert reader.error is not None
    else:
        assert [list(vector) for vector in answer.embeddings] == numbers
    for one in (native, reader):
        report = one.usage()
        assert report is None or report.source is not UsageSource.PROVIDER or report.usage.input_total > 0
    if expected.get("input_tokens_total") is not None:
        report = reader.usage()
        assert report is not None
        assert report.usage.input_total == expected["input_tokens_total"]


@pytest.mark.requirement("S28", "P-1")
@pytest.mark.parametrize("recording", REFUSALS, ids=lambda r: r.id)
def test_recorded_refusal_is_an_error_of_the_tree_with_the_providers_words(recording: Recording) -> None:
    error = error_of_answer(FACTS, status=recording.status, body=recording.body, headers=recording.headers)
    if recording.status == 404:
        assert isinstance(error, UpstreamRefused)
        assert error.http_status == 404
        assert error.message == json.loads(recording.body)["message"]
    assert error.upstream is not None
    assert error.upstream.http_status == recording.status


def test_native_reading_agrees_with_the_independent_reader() -> None:
    for recording in CHATS:
        reader = dialect().native_chat_reader(is_stream=recording.is_stream)
        native = read(reader, pieces_of(recording, "whole")).native
        if reader.error is not None:
            continue
        body = b"".join(b"data: " + item + b"\n\n" for item in native) if recording.is_stream else native[0]
        _, reading = oracle().read("cohere", "cohere.chat.v2", 200, body)
        assert differences(answer_of_reading(reading), recording.expected) == []
