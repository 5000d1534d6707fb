"""Every recorded response, in both forms, wherever it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any  # JSON documents

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseReasoningItem

from llm_manager.core.deltas import OpaqueDelta
from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import Facts, load_facts
from llm_manager.core.messages import ChatInput, Message, Text
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import cuts_of, on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import delta_violations

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

PROVIDERS = ("openai", "openai_compatible")
ALL = load(providers=PROVIDERS, operations=("responses",))
ANSWERS = [r for r in ALL if r.status == 200]
STREAMS = [r for r in ANSWERS if r.is_stream]
REFUSALS = [r for r in ALL if r.status != 200]
# Background answers that are not there yet (recordings, quirk 31): only a client of this dialect can fetch them.
PENDING = frozenset({"openai-responses-a477d981d4", "openai-responses-ef82e19bef"})
# The provider counts its output as -9 here, which nobody can be charged for.
NEGATIVE = "openai-responses-3e8370c677"
# xAI shows the queries of its own search as calls of custom tools, and the client declared none: nobody there can
# answer them. `expected` takes them for calls of the client.
OWN_SEARCH = "openai_compatible-responses-1242b88ee9"
HOSTS = {
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.openai.com": "openai",
    "api.x.ai": "xai",
    "llamacpp.local:8080": "llamacpp",
}

ENCRYPTED = [r for r in ANSWERS if '"encrypted_content"' in r.body.decode() and r.id not in PENDING]


def facts_of(recording: Recording) -> Facts:
    host = recording.url.split("/")[2]
    return load_facts()[HOSTS.get(host, "custom")]


def reader_of(recording: Recording, *, is_native: bool) -> AnswerReader:
    numbers = itertools.count()
    dialect = OpenAiResponses(facts_of(recording), new_id=lambda: f"made-up-{next(numbers)}")
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
    if body[:1] == b"{":
        return [json.loads(body)]
    return [json.loads(data) for _, data, _ in oracle().sse_events(body) if data != "[DONE]"]


def response_of(recording: Recording) -> dict[str, Any]:
    """The whole response, as it stood at the end."""
    last = documents_of(recording)[-1]
    return last["response"] if recording.is_stream else last


def items_of(recording: Recording) -> list[dict[str, Any]]:
    """The output items, as their own events gave them."""
    if not recording.is_stream:
        return response_of(recording)["output"]
    done = [event for event in documents_of(recording) if event["type"] == "response.output_item.done"]
    return [event["item"] for event in sorted(done, key=lambda event: event["output_index"])]


def assert_usage(recording: Recording, reader: AnswerReader) -> None:
    expected = recording.expected
    report = reader.usage()
    if recording.id == NEGATIVE:
        assert report is not None
        assert (report.usage.output_total, report.source) == (0, UsageSource.ESTIMATED)
        return
    assert usage_differences(None if report is None else report.usage, expected) == []
    if expected["usage_raw"] is None:
        assert report is None
        return
    assert report is not None
    assert json.loads(report.raw) == expected["usage_raw"]
    assert report.raw in recording.body
    assert report.source is UsageSource.PROVIDER
    assert report.usage.input_total + report.usage.output_total == expected["total_tokens"]
    assert report.usage.output_reasoning == (expected["reasoning_tokens"] or 0)
    assert report.usage.cache_write_5m == (expected.get("cache_write_tokens") or 0)


def expected_of(recording: Recording) -> dict[str, Any]:
    if recording.id == OWN_SEARCH:
        return {**recording.expected, "tool_calls": [], "finish_reason_normalised": "stop"}
    return dict(recording.expected)


def test_every_recording_of_the_wire_is_among_them() -> None:
    chunked = [recording for recording in ANSWERS if "chunks" in cuts_of(recording)]

    assert {recording.wire for recording in ALL} == {"openai.responses"}
    assert (len(ALL), len(ANSWERS), len(STREAMS), len(REFUSALS), len(chunked)) == (102, 95, 32, 7, 5)


@pytest.mark.requirement("S17", "P-1", "P-6", "P-8", "P-9", "L-8", "T-1")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
def test_recorded_response_comes_out_as_expected_in_neutral_form(recording: Recording) -> None:
    for cut in cuts_of(recording):
        reader = reader_of(recording, is_native=False)
        answer = read(reader, pieces_of(recording, cut))

        if recording.id in PENDING:
            assert isinstance(reader.error, UpstreamProtocolError)
            assert "its status is 'queued'" in str(reader.error)
            assert not answer
            continue
        expected = expected_of(recording)
        assert reader.error is None
        assert_usage(recording, reader)
        assert delta_violations(answer.deltas) == []
        assert differences(answer_of_deltas(answer.deltas), expected) == []
        assert answer.info is not None
        assert answer.info.id == expected["id"]
        assert reader.response_model == expected["model"]
        assert reader.finish_reason == answer_of_deltas(answer.deltas).finish_reason
        assert reader.native_finish_reason == expected["finish_reason"]
        assert list(reader.unknown_finish_reasons) == []


@pytest.mark.requirement("S17", "B-16")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
def test_recorded_response_passes_untouched_in_native_form(recording: Recording) -> None:
    for cut in cuts_of(recording):
        reader = reader_of(recording, is_native=True)
        documents = read(reader, pieces_of(recording, cut)).native

        assert reader.error is None
        assert_usage(recording, reader)
        came = documents_of(recording)
        assert [json.loads(document) for document in documents] == came
        if recording.is_stream:
            assert not any(b"\n" in document for document in documents)
            body = b"".join(b"data: %b\n\n" % document for document in documents)
        else:
            (body,) = documents
            assert body == recording.body.strip()
        _, reading = oracle().read(recording.provider, recording.wire, 200, body)
        assert differences(answer_of_reading(reading), recording.expected) == []


def test_recorded_streams_are_numbered_and_the_numbers_pass() -> None:
    numbered = 0
    for recording in STREAMS:
        documents = read(reader_of(recording, is_native=True), pieces_of(recording, "whole")).native
        came = [event.get("sequence_number") for event in documents_of(recording)]
        assert [json.loads(document).get("sequence_number") for document in documents] == came
        numbered += None not in came
    assert numbered > 25


@pytest.mark.requirement("B-16")
def test_reasoning_items_are_those_of_the_provider_s_own_sdk() -> None:
    seen = 0
    for recording in ANSWERS:
        documents = read(reader_of(recording, is_native=True), pieces_of(recording, "whole")).native
        last = json.loads(documents[-1])
        output = (last["response"] if recording.is_stream else last)["output"]
        for item in output:
            if item["type"] == "reasoning":
                assert ResponseReasoningItem.model_validate(item, strict=True).id
                seen += 1
    assert seen > 25


@pytest.mark.requirement("S28")
@pytest.mark.parametrize("recording", REFUSALS, ids=lambda r: r.id)
def test_recorded_refusal_becomes_the_error_that_clients_should_get(recording: Recording) -> None:
    error = error_of_answer(
        facts_of(recording), status=recording.status, body=recording.body, headers=recording.headers
    )

    said = recording.expected["error"]
    assert isinstance(error, class_for(recording.status))
    assert error.upstream is not None
    assert error.upstream.http_status == recording.status
    assert error.upstream.code == (said["code"] or "")
    assert error.upstream.type == (said["type"] or "")
    if recording.status == 401:
        assert said["message"] not in str(error)
    else:
        assert said["message"] in str(error)


def class_for(status: int) -> type[LlmManagerError]:
    if status == 401:
        return UpstreamCredentialsExhausted
    if status == 429:
        return ProviderRateLimited
    return UpstreamRefused if status < 500 else UpstreamUnavailable


@pytest.mark.requirement("B-6")
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize("cut", ["whole", "events", "7"])
def test_failure_right_after_the_first_event_is_a_failure_and_nothing_else(cut: str, is_native: bool) -> None:
    broken = load(providers=PROVIDERS, operations=("responses",), part="reconstructed")
    assert [recording.id for recording in broken] == ["openai-responses-stream-error"]
    for recording in broken:
        reader = reader_of(recording, is_native=is_native)
        answer = read(reader, pieces_of(recording, cut))

        assert not answer
        assert isinstance(reader.error, UpstreamUnavailable)
        assert "Our servers are currently overloaded" in str(reader.error)
        assert reader.error.upstream is not None
        assert (reader.error.upstream.http_status, reader.error.upstream.code) == (200, "server_error")


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("recording", ENCRYPTED, ids=lambda r: r.id)
@on_every_cut
def test_turn_with_encrypted_reasoning_goes_back_byte_for_byte(recording: Recording, cut: str) -> None:
    answer = read(reader_of(recording, is_native=False), pieces_of(recording, cut))
    blocks = tuple(delta.block for delta in answer.deltas if isinstance(delta, OpaqueDelta))
    messages = (
        Message(role="user", parts=(Text(text="Hello"),)),
        Message(role="assistant", parts=(Text(text="what neutral clients see"), *blocks)),
        Message(role="user", parts=(Text(text="Go on"),)),
    )
    call = OpenAiResponses(load_facts()["openai"], new_id=str).chat(
        ChatInput(messages=messages), model="o3-pro", is_stream=False, policy=Policy()
    )

    sent, came = json.loads(call.body)["input"][1:-1], items_of(recording)
    assert sent == came
    assert [block.dialect for block in blocks] == ["openai_responses"] * len(came)
    for block in blocks:
        assert block.json in call.body
    for item in came:
        if item.get("encrypted_content"):
            assert json.dumps(item["encrypted_content"]).encode() in call.body


@pytest.mark.requirement("B-17", "T-14")
def test_only_turns_that_neutral_words_cannot_say_come_in_blocks() -> None:
    plain, special = 0, 0
    for recording in ANSWERS:
        if recording.id in PENDING:
            continue
        answer = read(reader_of(recording, is_native=False), pieces_of(recording, "whole"))
        blocks = [json.loads(d.block.json) for d in answer.deltas if isinstance(d, OpaqueDelta)]
        items = items_of(recording)
        needs = any(
            item["type"] not in ("message", "function_call", "reasoning")
            or item.get("encrypted_content")
            or item.get("phase")
            or item.get("namespace")
            for item in items
        )
        if needs:
            assert blocks == items
            special += 1
        elif not blocks:
            plain += 1
    assert (plain > 40, special > 25) == (True, True)


@pytest.mark.requirement("T-14")
def test_tools_that_the_provider_runs_are_blocks_and_no_calls() -> None:
    (recording,) = [r for r in ANSWERS if r.id == OWN_SEARCH]
    answer = read(reader_of(recording, is_native=False), pieces_of(recording, "whole"))
    blocks = [json.loads(d.block.json) for d in answer.deltas if isinstance(d, OpaqueDelta)]

    assert answer_of_deltas(answer.deltas).tool_calls == []
    assert "custom_tool_call" in [block["type"] for block in blocks]
    assert recording.request["tools"] == [{"type": "x_search"}]


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
        ends = [recording.body.find(b'"response.%b"' % word) for word in (b"completed", b"incomplete")]
        body = recording.body[: max(ends)]
        for size in (len(body) * fifths // 5 for fifths in range(6)):
            reader = reader_of(recording, is_native=True)
            read(reader, iter([body[:size]]))
            assert isinstance(reader.error, UpstreamProtocolError)
            cut += 1
    assert cut == 6 * len(STREAMS) > 150
