"""Golden wire tests of streams (wire.md section 1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

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
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.chunks import NativeChunks, NeutralChunks

FALLBACK = AnswerInfo(id="chatcmpl-x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9, system_fingerprint="fp", service_tier="default")
USAGE = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":0.5}'
STOP = Finish(reason="stop")


def _chunks(*deltas: Delta, include_usage: bool = False, info: AnswerInfo | None = INFO) -> list[dict[str, Any]]:
    writer = NeutralChunks(FALLBACK, include_usage=include_usage)
    written = writer.write(Piece(info=info))
    for delta in deltas:
        written += writer.write(Piece(deltas=(delta,)))
    written += writer.finish(USAGE if include_usage else None)
    return [json.loads(chunk) for chunk in written]


def _choices(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice for chunk in chunks for choice in chunk["choices"]]


@pytest.mark.requirement("P-2")
def test_a_stream_of_text_is_exactly_this() -> None:
    head = {"id": "a1", "object": "chat.completion.chunk", "created": 9, "model": "m-2026"}
    head |= {"system_fingerprint": "fp", "service_tier": "default"}
    rest = {"logprobs": None, "finish_reason": None}
    assert _chunks(TextDelta(text="Hi"), TextDelta(text="!"), STOP) == [
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, **rest}]},
        {**head, "choices": [{"index": 0, "delta": {"content": "Hi"}, **rest}]},
        {**head, "choices": [{"index": 0, "delta": {"content": "!"}, **rest}]},
        {**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]},
    ]


@pytest.mark.requirement("L-5")
def test_usage_comes_once_last_and_without_choices() -> None:
    chunks = _chunks(TextDelta(text="Hi"), STOP, include_usage=True)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 3
    assert chunks[-1] == {
        "id": "a1", "object": "chat.completion.chunk", "created": 9, "model": "m-2026", "system_fingerprint": "fp",
        "service_tier": "default", "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5},
    }  # fmt: skip


def test_nobody_sees_usage_who_did_not_ask() -> None:
    assert all("usage" not in chunk for chunk in _chunks(TextDelta(text="Hi"), STOP))


@pytest.mark.requirement("L-29")
def test_tool_calls_open_once_and_go_on_by_index() -> None:
    chunks = _chunks(
        ToolCallStart(index=0, id="c0", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallStart(index=1, id="c1", name="g"),
        ToolCallArguments(index=1, fragment="{}"),
        ToolCallArguments(index=0, fragment=":1}"),
        Finish(reason="tool_calls"),
    )
    deltas = [choice["delta"] for choice in _choices(chunks)]
    assert deltas == [
        {"role": "assistant", "content": None},
        {"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 1, "id": "c1", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in _choices(chunks)] == [None] * 6 + ["tool_calls"]


@pytest.mark.requirement("L-29", "P-2")
def test_every_choice_has_one_role_and_one_finish() -> None:
    deltas = (TextDelta(text="a", choice=1), TextDelta(text="b"), Finish(reason="length", choice=1), STOP)
    chunks = _chunks(*deltas)
    for index in (0, 1):
        mine = [choice for choice in _choices(chunks) if choice["index"] == index]
        assert [choice["delta"].get("role") for choice in mine] == ["assistant", None, None]
        assert [choice["finish_reason"] is not None for choice in mine] == [False, False, True]


def test_reasoning_refusal_and_logprobs_have_their_places() -> None:
    chunks = _chunks(
        ReasoningDelta(text="hm"), RefusalDelta(text="no"), Logprobs(json=b'{"content":[{"token":"a"}]}'), STOP
    )
    said = _choices(chunks)
    assert [choice["delta"] for choice in said[1:]] == [{"reasoning_content": "hm"}, {"refusal": "no"}, {}, {}]
    assert said[3]["logprobs"] == {"content": [{"token": "a"}]}


@pytest.mark.requirement("B-17", "T-14")
def test_provider_s_blocks_and_annotations_come_in_one_chunk_before_the_finish() -> None:
    blocks = [OpaqueDelta(block=OpaqueBlock(dialect="anthropic_messages", json=b'{"n":%d}' % n)) for n in (1, 2)]
    cited = Annotation(json=b'{"type":"url_citation"}')
    said = _choices(_chunks(TextDelta(text="a"), cited, *blocks, STOP))
    assert [choice["delta"] for choice in said[1:]] == [
        {"content": "a"},
        {
            "annotations": [{"type": "url_citation"}],
            "provider_blocks": [
                {"dialect": "anthropic_messages", "block": {"n": 1}},
                {"dialect": "anthropic_messages", "block": {"n": 2}},
            ],
        },
        {},
    ]


def test_an_answer_without_a_word_about_itself_still_has_an_identity() -> None:
    chunks = _chunks(TextDelta(text="a"), STOP, info=None)
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {("chatcmpl-x", 7, "m")}


@pytest.mark.parametrize("deltas", [(), (TextDelta(text="a"),), (STOP, TextDelta(text="a")), (STOP, STOP)])
def test_a_stream_that_does_not_end_properly_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        _chunks(*deltas)


def test_native_events_go_through_byte_for_byte() -> None:
    events = (b'{"id":"n1","created":5,"model":"up","choices":[],"x_groq":{"id":1}}', b'{ "choices" : [ ] }')
    writer = NativeChunks(FALLBACK, include_usage=False)
    assert writer.write(Piece(native=events)) == list(events)
    assert writer.finish(None) == []


@pytest.mark.requirement("L-5")
def test_native_streams_get_the_same_usage_chunk() -> None:
    writer = NativeChunks(FALLBACK, include_usage=True)
    event: dict[str, Any] = {"id": "n1", "created": 5, "model": "up", "system_fingerprint": "f"}
    event["choices"] = [{"index": 0, "delta": {"content": 'say "usage": twice'}}]
    (written,) = writer.write(Piece(native=(json.dumps(event).encode(),)))
    assert json.loads(written) == {**event, "usage": None}
    (last,) = writer.finish(USAGE)
    assert json.loads(last) == {
        "id": "n1", "object": "chat.completion.chunk", "created": 5, "model": "up", "system_fingerprint": "f",
        "choices": [], "usage": json.loads(USAGE),
    }  # fmt: skip


def test_a_usage_that_a_worker_forgot_is_not_doubled() -> None:
    writer = NativeChunks(FALLBACK, include_usage=True)
    (written,) = writer.write(Piece(native=(b'{"choices":[],"usage":{"prompt_tokens":1}}',)))
    assert written.count(b'"usage"') == 1
    assert json.loads(written)["usage"] is None


def test_a_native_event_that_cannot_take_usage_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        NativeChunks(FALLBACK, include_usage=True).write(Piece(native=(b"not json",)))


def test_who_speaks_of_functions_gets_function_calls() -> None:
    writer = NeutralChunks(FALLBACK, include_usage=False, calls_functions=True)
    deltas: tuple[Delta, ...] = (
        ToolCallStart(index=0, id="c0", name="look"),
        ToolCallArguments(index=0, fragment="{}"),
        ToolCallStart(index=1, id="c1", name="see"),
        ToolCallArguments(index=1, fragment="[]"),
        Finish(reason="tool_calls"),
    )
    chunks = [json.loads(chunk) for chunk in writer.write(Piece(info=INFO, deltas=deltas))]
    assert [choice["delta"] for choice in _choices(chunks)] == [
        {"role": "assistant", "content": None},
        {"function_call": {"name": "look", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "see", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "[]"}}]},
        {},
    ]
    assert _choices(chunks)[-1]["finish_reason"] == "function_call"
    assert all(ChatCompletionChunk.model_validate(chunk) for chunk in chunks)
