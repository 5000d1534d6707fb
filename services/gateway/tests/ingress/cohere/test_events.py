"""Golden wire tests of streams in Cohere's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from pydantic import TypeAdapter

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import OpaqueBlock
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.cohere.errors import DONE
from llm_manager.gateway.ingress.cohere.events import ChatEvents, native_event
from llm_manager.kit.sse import SseDecoder

Json = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(V2ChatStreamResponse)
FALLBACK = AnswerInfo(id="x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9)
OUTCOME = Outcome(report=UsageReport(Usage(input_uncached=3, output_text=2), UsageSource.PROVIDER))
STOP = Finish(reason="stop")
USED = {
    "billed_units": {"input_tokens": 3, "output_tokens": 2},
    "tokens": {"input_tokens": 3, "output_tokens": 2},
    "cached_tokens": 0,
}
EMPTY: Json = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}


def parsed(data: bytes) -> list[Json]:
    assert data.endswith(DONE)
    decoder = SseDecoder()
    events: list[Json] = []
    for event in (*decoder.feed(data.removesuffix(DONE)), *decoder.finish()):
        document = json.loads(event.data)
        assert event.event == document["type"]
        EVENT.validate_json(event.data)
        events.append(document)
    return events


def written(*deltas: Delta, info: AnswerInfo | None = INFO) -> list[Json]:
    """Write one step after another; every event is checked with the SDK's types."""
    writer = ChatEvents(FALLBACK)
    data = writer.write(Piece(info=info))
    for delta in deltas:
        data += writer.write(Piece(deltas=(delta,)))
    return parsed(data + writer.finish(OUTCOME))


def steps(events: list[Json]) -> list[str]:
    """What happens to which block, in short: `content-start 0`."""
    return [f"{event['type']} {event['index']}" if "index" in event else event["type"] for event in events]


def arguments(events: list[Json], index: int) -> str:
    """The arguments of one call."""
    told = [event for event in events if event["type"] == "tool-call-delta" and event["index"] == index]
    return "".join(event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in told)


@pytest.mark.requirement("S26", "T-13")
def test_a_stream_of_text_is_exactly_this() -> None:
    assert written(TextDelta(text="Hi"), TextDelta(text="!"), STOP) == [
        {"id": "a1", "type": "message-start", "delta": {"message": EMPTY}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "!"}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USED}},
    ]


def test_an_answer_without_content_still_begins_and_ends() -> None:
    events = written(STOP, info=None)
    assert steps(events) == ["message-start", "message-end"]
    assert events[0]["id"] == "x"


@pytest.mark.requirement("B-7")
def test_thoughts_and_texts_are_blocks_of_their_own() -> None:
    events = written(ReasoningDelta(text="h"), ReasoningDelta(text="m"), TextDelta(text="so"), STOP)
    assert steps(events)[1:-1] == [
        *("content-start 0", "content-delta 0", "content-delta 0", "content-end 0"),
        *("content-start 1", "content-delta 1", "content-end 1"),
    ]
    assert events[2]["delta"]["message"]["content"] == {"thinking": "h"}


@pytest.mark.requirement("B-10", "P-4")
def test_calls_that_are_written_in_turns_come_one_after_another() -> None:
    events = written(
        TextDelta(text="a"),
        ToolCallStart(index=0, id="c1", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallStart(index=1, id="c2", name="g"),
        ToolCallArguments(index=1, fragment="{}"),
        ToolCallArguments(index=0, fragment=":1}"),
        Finish(reason="tool_calls"),
    )
    assert steps(events)[4:-1] == [
        *("tool-call-start 0", "tool-call-delta 0", "tool-call-delta 0", "tool-call-end 0"),
        *("tool-call-start 1", "tool-call-delta 1", "tool-call-end 1"),
    ]
    assert [arguments(events, index) for index in (0, 1)] == ['{"a":1}', "{}"]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert events[4]["delta"]["message"]["tool_calls"] == call
    assert events[-1]["delta"]["finish_reason"] == "TOOL_CALL"


@pytest.mark.parametrize("fragments", [(), ("null",), ("nu", "ll"), (" ",)])
def test_no_arguments_are_an_empty_object(fragments: tuple[str, ...]) -> None:
    told = [ToolCallArguments(index=0, fragment=fragment) for fragment in fragments]
    events = written(ToolCallStart(index=0, id="c1", name="f"), *told, Finish(reason="tool_calls"))
    assert arguments(events, 0) == "{}"


@pytest.mark.requirement("S26", "B-17", "T-14")
def test_plan_citations_and_blocks_come_before_the_end() -> None:
    own = b'{"tool_plan":"First f.","citations":[{"start":0,"end":1,"text":"a","sources":[]}]}'
    other = OpaqueBlock(dialect="gemini_generate", json=b'{"s":1}')
    events = written(
        TextDelta(text="a"),
        OpaqueDelta(block=OpaqueBlock(dialect="cohere_v2", json=own)),
        OpaqueDelta(block=other),
        STOP,
    )
    assert steps(events)[4:] == ["tool-plan-delta", "citation-start 0", "citation-end 0", "message-end"]
    assert events[4]["delta"]["message"] == {"tool_plan": "First f."}
    assert events[5]["delta"]["message"]["citations"] == json.loads(own)["citations"][0]
    assert events[-1]["delta"]["message"] == {
        "provider_blocks": [{"dialect": "gemini_generate", "block": {"s": 1}}]
    }  # fmt: skip


def test_annotations_become_citations_wherever_they_come() -> None:
    cited = Annotation(json=b'{"type":"url_citation","url_citation":{"url":"https://a","start_index":0,"end_index":2}}')
    for deltas in ((cited, TextDelta(text="abc"), STOP), (TextDelta(text="abc"), STOP, cited)):
        events = written(*deltas)
        citation = next(event for event in events if event["type"] == "citation-start")
        assert citation["delta"]["message"]["citations"]["text"] == "ab"


def test_log_probabilities_come_with_their_text() -> None:
    weighed = Logprobs(json=b'{"content":[{"token":"a","logprob":-0.5}]}')
    told = written(TextDelta(text="a"), weighed, STOP)[3]
    assert told["logprobs"] == {"text": "a", "token_ids": [], "logprobs": [-0.5]}
    assert told["delta"]["message"]["content"] == {"text": ""}


@pytest.mark.requirement("P-3", "L-29")
def test_an_end_without_a_reason_is_no_end() -> None:
    writer = ChatEvents(FALLBACK)
    writer.write(Piece(info=INFO, deltas=(TextDelta(text="a"),)))
    with pytest.raises(UpstreamProtocolError):
        writer.finish(OUTCOME)


@pytest.mark.requirement("T-14")
def test_a_native_event_keeps_its_bytes_and_gets_its_name() -> None:
    assert native_event(b'{ "type":"content-end","n":1.50}') == (
        b'event: content-end\ndata: { "type":"content-end","n":1.50}\n\n'
    )
    assert native_event(b'{"delta":{}}') == b'data: {"delta":{}}\n\n'
    for broken in (b"{", b"[]", b'{"type":7}'):
        with pytest.raises(UpstreamProtocolError):
            native_event(broken)
