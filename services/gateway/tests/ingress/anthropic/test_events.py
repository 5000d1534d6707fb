"""Golden wire tests of streams in Anthropic's dialect (wire.md sections 2 and 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamFailure, UpstreamProtocolError, UpstreamUnavailable
from llm_manager.core.messages import OpaqueBlock
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.anthropic.answer import Answer
from llm_manager.gateway.ingress.anthropic.events import PING, MessageEvents, failure_event, native_event
from llm_manager.gateway.ingress.anthropic.mark import MARK
from llm_manager.gateway.ingress.opaque import packed
from llm_manager.kit.sse import SseDecoder

Json = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
FALLBACK = AnswerInfo(id="msg_x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9, service_tier="priority")
OUTCOME = Outcome(report=UsageReport(Usage(input_uncached=3, cache_write_1h=7, output_text=2), UsageSource.PROVIDER))
STOP = Finish(reason="stop")
NOTHING = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
USED = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 7},
    "output_tokens": 2,
}


def parsed(data: bytes) -> list[Json]:
    decoder = SseDecoder()
    events: list[Json] = []
    for event in (*decoder.feed(data), *decoder.finish()):
        document = json.loads(event.data)
        assert event.event == document["type"]
        if event.event not in ("ping", "error"):
            EVENT.validate_json(event.data, strict=True)
        events.append(document)
    return events


def written(*deltas: Delta, info: AnswerInfo | None = INFO, stops: tuple[str, ...] = ()) -> list[Json]:
    """Write one step after another; every event is checked with the SDK's types."""
    writer = MessageEvents(FALLBACK, stops=stops)
    data = writer.write(Piece(info=info))
    for delta in deltas:
        data += writer.write(Piece(deltas=(delta,)))
    return parsed(data + writer.finish(OUTCOME))


def steps(events: list[Json]) -> list[str]:
    """What happens to which block, in short: `0+text`, `0:text_delta`, `0-`."""
    short: list[str] = []
    for event in events:
        index = event.get("index")
        match event["type"]:
            case "content_block_start":
                short.append(f"{index}+{event['content_block']['type']}")
            case "content_block_delta":
                short.append(f"{index}:{event['delta']['type']}")
            case "content_block_stop":
                short.append(f"{index}-")
            case name:
                short.append(name)
    return short


def snapshot(events: list[Json]) -> Message:
    """What the SDK makes of the events."""
    message: Any = None
    arguments: dict[int, bytes] = {}
    for event in events:
        if event["type"] != "ping":
            parsed_event = EVENT.validate_python(event)
            message = accumulate_event(event=parsed_event, current_snapshot=message, json_bufs=arguments)
    return message


@pytest.mark.requirement("T-13", "S18")
def test_a_stream_of_text_is_exactly_this() -> None:
    message: Json = {"id": "a1", "type": "message", "role": "assistant", "model": "m-2026", "content": []}
    started: Json = {
        **message,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**NOTHING, "service_tier": "priority"},
    }
    assert written(TextDelta(text="Hi"), TextDelta(text="!"), STOP) == [
        {"type": "message_start", "message": started},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "!"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USED},
        {"type": "message_stop"},
    ]


def test_a_stream_without_a_word_about_itself_still_has_an_identity() -> None:
    started = written(TextDelta(text="a"), STOP, info=None)[0]["message"]
    assert (started["id"], started["model"], started["usage"]) == ("msg_x", "m", NOTHING)


def test_an_answer_without_content_has_no_blocks() -> None:
    assert steps(written(STOP)) == ["message_start", "ping", "message_delta", "message_stop"]


@pytest.mark.requirement("B-7")
def test_thoughts_come_as_they_are_thought_and_end_with_a_signature() -> None:
    events = written(ReasoningDelta(text="h"), ReasoningDelta(text="m"), TextDelta(text="so"), STOP)
    assert steps(events)[2:-2] == [
        *("0+thinking", "0:thinking_delta", "0:thinking_delta", "0:signature_delta", "0-"),
        *("1+text", "1:text_delta", "1-"),
    ]
    assert events[5]["delta"]["signature"] == MARK


@pytest.mark.requirement("L-29", "P-1", "B-10")
def test_calls_that_are_written_in_turns_are_told_one_after_the_other() -> None:
    events = written(
        TextDelta(text="I look."),
        ToolCallStart(index=0, id="c0", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallStart(index=1, id="c1", name="g"),
        ToolCallArguments(index=1, fragment='{"b"'),
        ToolCallArguments(index=0, fragment=":1}"),
        ToolCallArguments(index=1, fragment=":2}"),
        Finish(reason="tool_calls"),
    )
    assert steps(events)[2:-2] == [
        *("0+text", "0:text_delta", "0-"),
        *("1+tool_use", "1:input_json_delta", "1:input_json_delta", "1-"),
        *("2+tool_use", "2:input_json_delta", "2:input_json_delta", "2-"),
    ]
    calls = [(block.id, block.name, block.input) for block in snapshot(events).content if block.type == "tool_use"]
    assert calls == [("c0", "f", {"a": 1}), ("c1", "g", {"b": 2})]


@pytest.mark.parametrize("fragments", [(), ("",), ("null",), ("nu", "ll"), (" ", "null"), ("{}",)])
def test_a_call_without_arguments_is_one_with_an_empty_object(fragments: tuple[str, ...]) -> None:
    arguments = (ToolCallArguments(index=0, fragment=text) for text in fragments)
    events = written(ToolCallStart(index=0, id="c", name="f"), *arguments, Finish(reason="tool_calls"))
    (call,) = snapshot(events).content
    assert call.type == "tool_use"
    assert call.input == {}


def test_arguments_that_are_cut_off_stay_as_they_are() -> None:
    call = ToolCallStart(index=0, id="c", name="f")
    events = written(call, ToolCallArguments(index=0, fragment='{"a": [1'), Finish(reason="length"))
    assert [event["delta"] for event in events if event["type"] == "content_block_delta"] == [
        {"type": "input_json_delta", "partial_json": '{"a": [1'}
    ]
    assert snapshot(events).stop_reason == "max_tokens"


@pytest.mark.requirement("B-17", "T-14")
def test_sources_and_another_provider_s_blocks_have_their_places() -> None:
    block = OpaqueBlock(dialect="gemini_generate", json=b'{"n" : 1}')
    citation = b'{"type":"url_citation","url_citation":{"url":"u","title":"T","start_index":0}}'
    events = written(TextDelta(text="a"), Annotation(json=citation), OpaqueDelta(block=block), STOP)
    assert steps(events)[2:-2] == ["0+text", "0:text_delta", "0:citations_delta", "0-", "1+redacted_thinking", "1-"]
    assert events[6]["content_block"] == {"type": "redacted_thinking", "data": packed([block])}
    assert snapshot(events).content[0].model_dump()["citations"][0]["url"] == "u"


def test_a_source_that_comes_after_the_end_of_its_text_is_not_put_elsewhere() -> None:
    citation = Annotation(json=b'{"type":"url_citation","url_citation":{"url":"u","start_index":0}}')
    events = written(TextDelta(text="a"), ReasoningDelta(text="hm"), citation, STOP)
    assert "citations_delta" not in json.dumps(events)


@pytest.mark.parametrize(("stops", "wanted"), [(("END",), "END"), (("END", "STOP"), None)])
def test_a_stream_names_the_sequence_that_stopped_it(stops: tuple[str, ...], wanted: str | None) -> None:
    events = written(TextDelta(text="a"), Finish(reason="stop", native_reason="stop_sequence"), stops=stops)
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": wanted}


@pytest.mark.requirement("L-1")
def test_a_stream_adds_up_to_the_whole_answer() -> None:
    deltas = (
        ReasoningDelta(text="hm"),
        TextDelta(text="so"),
        ToolCallStart(index=0, id="c0", name="f"),
        ToolCallArguments(index=0, fragment='{"a":1}'),
        Finish(reason="tool_calls"),
    )
    answer = Answer(FALLBACK)
    answer.add(Piece(info=INFO, deltas=deltas))
    whole: Json = Message.model_validate_json(answer.body(OUTCOME)).to_dict()
    streamed: Json = snapshot(written(*deltas)).to_dict()
    assert streamed["content"] == whole["content"]
    assert streamed["stop_reason"] == whole["stop_reason"]
    assert {name: whole["usage"][name] for name in NOTHING} == {name: streamed["usage"][name] for name in NOTHING}


@pytest.mark.requirement("L-26")
@pytest.mark.parametrize("deltas", [(), (TextDelta(text="a"),), (STOP, TextDelta(text="a")), (STOP, STOP)])
def test_a_stream_that_does_not_end_properly_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        written(*deltas)


@pytest.mark.requirement("L-26", "P-3")
def test_a_stream_that_breaks_ends_with_a_named_error() -> None:
    error = UpstreamUnavailable("Overloaded", upstream=UpstreamFailure(200, type="overloaded_error"))
    failed = (
        b"event: error\ndata: "
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r1"}\n\n'
    )
    assert MessageEvents(FALLBACK).fail(error, request_id="r1") == failed
    assert failure_event(error, request_id="r1") == failed


def test_a_ping_is_an_event_of_its_own() -> None:
    assert PING == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert MessageEvents(FALLBACK).ping == PING


@pytest.mark.requirement("T-14")
def test_an_event_of_anthropic_passes_byte_for_byte_under_its_name() -> None:
    document = b'{ "type":"content_block_delta" ,"new":1.50}   '
    assert native_event(document) == b"event: content_block_delta\ndata: " + document + b"\n\n"
    with pytest.raises(UpstreamProtocolError):
        native_event(b"[]")
