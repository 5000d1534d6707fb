"""Every recorded exchange of Anthropic, in both forms, wherever it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any  # JSON documents

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_manager.core.deltas import OpaqueDelta, TokenCount
from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, OpaqueBlock, Text
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import cuts_of, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import delta_violations

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

FACTS = load_facts()["anthropic"]
ALL = ("chat", "models", "count_tokens")
RECORDED = [r for part in ("open", "reconstructed") for r in load(providers=("anthropic",), operations=ALL, part=part)]
ANSWERS = [r for r in RECORDED if r.operation == "chat" and r.status == 200 and not r.expected["error"]]
FAILURES = [r for r in RECORDED if r.operation == "chat" and r.status == 200 and r.expected["error"]]
REFUSALS = [r for r in RECORDED if r.status != 200]
STREAMS = [r for r in ANSWERS if r.is_stream]


def dialect() -> AnthropicMessages:
    numbers = itertools.count()
    return AnthropicMessages(FACTS, new_id=lambda: f"made-up-{next(numbers)}")


def reader_of(recording: Recording, *, is_native: bool) -> AnswerReader:
    if is_native:
        return dialect().native_chat_reader(is_stream=recording.is_stream)
    return dialect().chat_reader(is_stream=recording.is_stream)


def read(reader: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(reader.feed(piece))
    answer.extend(reader.finish())
    return answer


def documents_of(recording: Recording) -> list[dict[str, Any]]:
    if not recording.is_stream:
        return [json.loads(recording.body)]
    return [json.loads(data) for _, data, _ in oracle().sse_events(recording.body)]


def blocks_of(recording: Recording) -> list[dict[str, Any]]:
    """The content as a whole answer would hold it, put together here without any code of ours."""
    if not recording.is_stream:
        return json.loads(recording.body)["content"]
    blocks: dict[int, dict[str, Any]] = {}
    arguments: dict[int, str] = {}
    for event in documents_of(recording):
        if event["type"] == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = (block.get(name) or "") + delta[name]
            if "citation" in delta:
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            arguments[event["index"]] = arguments.get(event["index"], "") + delta.get("partial_json", "")
    for index, text in arguments.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    return [blocks[index] for index in sorted(blocks)]


def assert_usage(recording: Recording, reader: AnswerReader) -> None:
    expected = recording.expected
    report = reader.usage()
    assert report is not None
    assert usage_differences(report.usage, expected) == []
    assert report.source is UsageSource.PROVIDER
    usage = report.usage
    raw: dict[str, Any] = json.loads(report.raw)
    written: dict[str, Any] = raw.get("cache_creation") or {}
    tools: dict[str, Any] = raw.get("server_tool_use") or {}
    assert usage.cache_write_5m + usage.cache_write_1h == (expected["cache_write_tokens"] or 0)
    assert usage.cache_write_1h == (written.get("ephemeral_1h_input_tokens") or 0)
    assert usage.output_reasoning == (expected["reasoning_tokens"] or 0)
    assert usage.search_units == (tools.get("web_search_requests") or 0)
    assert usage.input_uncached == raw["input_tokens"]


def test_all_recordings_of_the_wire_are_here() -> None:
    assert (len(ANSWERS), len(STREAMS), len(FAILURES)) == (122, 54, 2)
    assert len([r for r in RECORDED if r.operation != "chat"]) == 8
    assert len(RECORDED) == len(ANSWERS) + len(FAILURES) + len(REFUSALS) + 8 == 156


@pytest.mark.requirement("S18", "T-1", "P-1", "P-6", "L-29", "B-1")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
def test_recorded_answer_comes_out_as_expected_in_neutral_form(recording: Recording) -> None:
    for cut in cuts_of(recording):
        assert_neutral(recording, cut)


def assert_neutral(recording: Recording, cut: str) -> None:
    reader = reader_of(recording, is_native=False)
    answer = read(reader, pieces_of(recording, cut))

    assert reader.error is None
    assert_usage(recording, reader)
    assert delta_violations(answer.deltas) == []
    assert answer.native == []
    assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
    assert answer.info is not None
    assert answer.info.id == recording.expected["id"]
    assert answer.info.model == reader.response_model == recording.expected["model"]
    assert reader.is_done
    assert reader.finish_reason == answer_of_deltas(answer.deltas).finish_reason
    assert reader.native_finish_reason == recording.expected["finish_reason"]
    assert list(reader.unknown_finish_reasons) == []


@pytest.mark.requirement("S18", "T-1", "P-6")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
def test_recorded_answer_passes_untouched_in_native_form(recording: Recording) -> None:
    for cut in cuts_of(recording):
        assert_native(recording, cut)


def assert_native(recording: Recording, cut: str) -> None:
    reader = reader_of(recording, is_native=True)
    answer = read(reader, pieces_of(recording, cut))

    assert reader.error is None
    assert_usage(recording, reader)
    assert answer.deltas == []
    assert [json.loads(document) for document in answer.native] == documents_of(recording)
    if recording.is_stream:
        assert not any(b"\n" in document for document in answer.native)
        names = [json.loads(document)["type"] for document in answer.native]
        body = b"".join(
            b"event: %b\ndata: %b\n\n" % (name.encode(), document)
            for name, document in zip(names, answer.native, strict=True)
        )
    else:
        (body,) = answer.native
        assert body == recording.body.strip()
    _, reading = oracle().read("anthropic", recording.wire, 200, body)
    assert differences(answer_of_reading(reading), recording.expected) == []


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
def test_turn_that_neutral_words_cannot_say_goes_back_byte_for_byte(recording: Recording) -> None:
    answer = read(reader_of(recording, is_native=False), pieces_of(recording, "events"))
    blocks = tuple(delta.block for delta in answer.deltas if isinstance(delta, OpaqueDelta))
    came = blocks_of(recording)
    is_plain = all(
        block["type"] in ("text", "tool_use")
        and not block.get("citations")
        and (block.get("caller") or {"type": "direct"})["type"] == "direct"
        for block in came
    )
    assert bool(blocks) is not is_plain
    if is_plain:
        return

    messages = (
        Message(role="user", parts=(Text(text="Hello"),)),
        Message(role="assistant", parts=(Text(text="what neutral clients see"), *blocks)),
        Message(role="user", parts=(Text(text="Go on"),)),
    )
    call = dialect().chat(ChatInput(messages=messages), model="claude-opus-4-6", is_stream=False, policy=Policy())
    sent = json.loads(call.body)["messages"][1]
    assert sent == {"role": "assistant", "content": [b for b in came if b["type"] != "text" or b["text"]]}
    for block in came:
        for name in ("signature", "data", "encrypted_content"):
            if block.get(name):
                assert json.dumps(block[name]).encode() in call.body


@pytest.mark.requirement("T-14")
def test_tools_that_the_provider_runs_are_blocks_and_no_calls() -> None:
    run = [r for r in ANSWERS if b'"server_tool_use","' in r.body.replace(b" ", b"") or b"mcp_tool_use" in r.body]
    assert len(run) > 10
    for recording in run:
        answer = read(reader_of(recording, is_native=False), pieces_of(recording, "whole"))
        calls = [block["name"] for block in blocks_of(recording) if block["type"] == "tool_use"]
        assert [name for name, _ in answer_of_deltas(answer.deltas).tool_calls] == calls
        carried = [delta.block for delta in answer.deltas if isinstance(delta, OpaqueDelta)]
        assert {block.dialect for block in carried} == {"anthropic_messages"}
        assert any("_tool_" in json.loads(block.json)["type"] for block in carried)


@pytest.mark.requirement("L-26", "P-3")
@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("cut", ["whole", "events", "7"])
@pytest.mark.parametrize("recording", FAILURES, ids=lambda r: r.id)
def test_error_inside_of_a_stream_is_the_provider_s_error(recording: Recording, cut: str, is_native: bool) -> None:
    reader = reader_of(recording, is_native=is_native)
    answer = read(reader, pieces_of(recording, cut))

    error = reader.error
    assert isinstance(error, UpstreamUnavailable)
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.type) == (200, "overloaded_error")
    assert (error.http_status, error.retryable) == (503, True)
    assert str(error) == "Anthropic failed with status 529: Overloaded"
    assert (reader.finish_reason, reader.native_finish_reason) == ("", "")
    said = recording.expected["text"]
    assert answer_of_deltas(answer.deltas).text == ("" if is_native else said)
    assert [json.loads(event)["type"] for event in answer.native] == [
        event["type"] for event in documents_of(recording) if is_native and event["type"] != "error"
    ]
    report = reader.usage()
    if not said:
        assert report is None
    else:
        assert report is not None
        assert (report.source, report.usage.output_total) == (UsageSource.ESTIMATED, 0)
        assert usage_differences(report.usage, {**recording.expected, "output_tokens_total": None}) == []


@pytest.mark.parametrize("recording", REFUSALS, ids=lambda r: r.id)
def test_recorded_refusal_becomes_the_error_that_clients_should_get(recording: Recording) -> None:
    error = error_of_answer(FACTS, status=recording.status, body=recording.body, headers=recording.headers)

    said = recording.expected["error"]
    assert type(error) is class_for(recording.status)
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.type) == (recording.status, said["type"])
    assert error.upstream.request_id == recording.headers.get("request-id", "")
    if recording.status != 401:
        assert said["message"] in str(error)
    if "retry-after" in recording.headers:
        assert error.retry_after_seconds == float(recording.headers["retry-after"])


def class_for(status: int) -> type[LlmManagerError]:
    classes: dict[int, type[LlmManagerError]] = {401: UpstreamCredentialsExhausted, 429: ProviderRateLimited}
    return classes.get(status, UpstreamRefused if status < 500 else UpstreamUnavailable)


def test_recorded_counts_of_prompts_are_read() -> None:
    counted = [r for r in RECORDED if r.operation == "count_tokens"]
    assert len(counted) == 5
    for recording in counted:
        tokens = json.loads(recording.body)["input_tokens"]
        neutral, native = dialect().count_tokens_reader(), dialect().native_count_tokens_reader()
        assert read(neutral, pieces_of(recording, "7")) == Pieces(token_count=TokenCount(input_tokens=tokens))
        assert read(native, pieces_of(recording, "7")) == Pieces(native=[recording.body.strip()])
        assert (neutral.error, native.error) == (None, None)


def test_recorded_lists_of_models_are_read() -> None:
    listed = [r for r in RECORDED if r.operation == "models"]
    assert len(listed) == 3
    for recording in listed:
        data = json.loads(recording.body)["data"]
        models = read(dialect().models_reader(), pieces_of(recording, "7")).models
        assert [model.id for model in models] == [item["id"] for item in data]
        assert [json.loads(model.native) for model in models] == data
        assert all(model.created > 1_600_000_000 and model.owned_by == "anthropic" for model in models)


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


@pytest.mark.requirement("L-26")
def test_stream_that_is_cut_off_is_an_error() -> None:
    cut = 0
    for recording in STREAMS:
        end = recording.body.rindex(b"message_stop")
        for size in (end * tenths // 10 for tenths in range(10)):
            reader = reader_of(recording, is_native=True)
            read(reader, iter([recording.body[:size]]))
            assert isinstance(reader.error, UpstreamProtocolError)
            assert not reader.is_done
            cut += 1
    assert cut == 10 * len(STREAMS)


def test_opaque_blocks_of_other_dialects_stay_out() -> None:
    foreign = OpaqueBlock(dialect="gemini_generate", json=b'{"text":"x"}')
    message = Message(role="assistant", parts=(Text(text="Hi"), foreign))
    call = dialect().chat(ChatInput(messages=(message,)), model="m", is_stream=False, policy=Policy())

    assert json.loads(call.body)["messages"] == [{"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}]
