"""Answers of Anthropic that no recording holds, event by event."""

from __future__ import annotations

import json
from typing import Any  # JSON documents

import msgspec
import pytest

from llm_manager.core.deltas import (
    Annotation,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import (
    UpstreamProtocolError,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, OpaqueBlock
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.anthropic_messages.answer import ChatReader
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.estimate import completed
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import AnswerReader, Pieces

FACTS = load_facts()["anthropic"]
DIALECT = AnthropicMessages(FACTS, new_id=lambda: "made-up")
Json = dict[str, Any]
END: Json = {"type": "message_stop"}


def start(**usage: object) -> Json:
    message: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    return {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}


def block(index: int, **content: object) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": content}


def more(index: int, kind: str, **delta: object) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def closed(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def ending(reason: str | None = "end_turn", **usage: object) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def sse(*events: Json | str) -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return b"".join(b"event: x\ndata: %b\n\n" % text.encode() for text in texts)


def stream(*, is_native: bool = False) -> ChatReader:
    return DIALECT.native_chat_reader(is_stream=True) if is_native else DIALECT.chat_reader(is_stream=True)


def read(reader: AnswerReader, data: bytes) -> Pieces:
    answer = reader.feed(data)
    answer.extend(reader.finish())
    return answer


def whole(**fields: object) -> bytes:
    message: Json = {"id": "msg_1", "type": "message", "model": "claude-x", "content": [], "stop_reason": "end_turn"}
    return json.dumps({**message, "usage": {"input_tokens": 1, "output_tokens": 2}, **fields}).encode()


@pytest.mark.requirement("P-1", "L-29")
def test_parallel_calls_have_numbers_of_their_own_and_keep_their_arguments() -> None:
    answer = read(
        stream(),
        sse(
            start(input_tokens=3, output_tokens=1),
            {"type": "ping"},
            block(0, type="text", text=""),
            more(0, "text_delta", text="Both"),
            closed(0),
            block(1, type="tool_use", id="toolu_1", name="sun", input={}),
            more(1, "input_json_delta", partial_json=""),
            more(1, "input_json_delta", partial_json='{"a"'),
            more(1, "input_json_delta", partial_json=":1}"),
            closed(1),
            block(2, type="tool_use", id="toolu_2", name="rain", input={}),
            more(2, "input_json_delta", partial_json=""),
            closed(2),
            ending("tool_use", output_tokens=9),
            END,
        ),
    )

    assert answer.deltas == [
        TextDelta(text="Both"),
        ToolCallStart(index=0, id="toolu_1", name="sun"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallArguments(index=0, fragment=":1}"),
        ToolCallStart(index=1, id="toolu_2", name="rain"),
        ToolCallArguments(index=1, fragment="{}"),
        Finish(reason="tool_calls", native_reason="tool_use"),
    ]


@pytest.mark.requirement("B-17", "T-14")
def test_thoughts_are_shown_and_the_signed_turn_follows_whole() -> None:
    answer = read(
        stream(),
        sse(
            start(input_tokens=3, output_tokens=1),
            block(0, type="thinking", thinking="", signature=""),
            more(0, "thinking_delta", thinking="h"),
            more(0, "thinking_delta", thinking="m"),
            more(0, "signature_delta", signature="s+/="),
            closed(0),
            block(1, type="redacted_thinking", data="x=="),
            closed(1),
            block(2, type="text", text=""),
            closed(2),
            block(3, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
            more(3, "input_json_delta", partial_json='{"query":"q"}'),
            closed(3),
            block(4, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[{"encrypted_content": "e"}]),
            closed(4),
            block(5, type="tool_use", id="toolu_1", name="sun", input={}),
            more(5, "input_json_delta", partial_json='{"a'),
            closed(5),
            ending("max_tokens", output_tokens=9),
            END,
        ),
    )

    turn: list[Json] = [
        {"type": "thinking", "thinking": "hm", "signature": "s+/="},
        {"type": "redacted_thinking", "data": "x=="},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"encrypted_content": "e"}]},
        # a call that was cut is no JSON, so the next turn holds what the model wrote
        {"type": "tool_use", "id": "toolu_1", "name": "sun", "input": {"text": '{"a'}},
    ]
    opaque = [delta.block for delta in answer.deltas if isinstance(delta, OpaqueDelta)]
    assert [delta for delta in answer.deltas if not isinstance(delta, OpaqueDelta)] == [
        ReasoningDelta(text="h"),
        ReasoningDelta(text="m"),
        ToolCallStart(index=0, id="toolu_1", name="sun"),
        ToolCallArguments(index=0, fragment='{"a'),
        Finish(reason="length", native_reason="max_tokens"),
    ]
    assert [json.loads(item.json) for item in opaque] == turn

    messages = (Message(role="assistant", parts=tuple(opaque)),)
    call = DIALECT.chat(ChatInput(messages=messages), model="m", is_stream=False, policy=Policy())
    assert json.loads(call.body)["messages"] == [{"role": "assistant", "content": turn}]
    assert all(item.json in call.body for item in opaque)


@pytest.mark.requirement("B-17")
def test_block_of_a_newer_kind_goes_back_with_what_its_events_set() -> None:
    answer = read(
        stream(),
        sse(
            start(input_tokens=3, output_tokens=1),
            block(0, type="compaction", content=None),
            more(0, "compaction_delta", content="so far", encrypted_content="e=="),
            closed(0),
            ending("compaction", output_tokens=9),
            END,
        ),
    )

    (turn, _) = answer.deltas
    assert isinstance(turn, OpaqueDelta)
    assert json.loads(turn.block.json) == {"type": "compaction", "content": "so far", "encrypted_content": "e=="}


def test_whole_turn_keeps_the_bytes_of_its_blocks() -> None:
    signed = '{"type": "thinking",\n "thinking":"\\u00e9", "signature" : "s\\/" , "future":1.50}'
    body = '{"id":"m","model":"c","content":[' + signed + '],"stop_reason":"end_turn"}'
    answer = read(DIALECT.chat_reader(is_stream=False), body.encode())

    assert answer.deltas == [
        ReasoningDelta(text="é"),
        OpaqueDelta(
            block=OpaqueBlock(
                dialect="anthropic_messages",
                json=b'{"type":"thinking","thinking":"\\u00e9","signature":"s\\/","future":1.50}',
            )
        ),
        Finish(reason="stop", native_reason="end_turn"),
    ]


@pytest.mark.parametrize("is_stream", [True, False])
def test_citations_with_an_address_become_annotations(is_stream: bool) -> None:
    page = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "encrypted_index": "i"}
    found = {"type": "search_result_location", "source": "https://b.example", "title": None}
    paper = {"type": "char_location", "document_title": "D", "start_char_index": 0}
    cited: list[Json] = [page, found, paper]
    if is_stream:
        data = sse(
            start(input_tokens=1, output_tokens=1),
            block(0, type="text", text="So "),
            closed(0),
            block(1, type="text", text="", citations=[]),
            *(more(1, "citations_delta", citation=citation) for citation in cited),
            more(1, "text_delta", text="it is"),
            closed(1),
            ending(output_tokens=5),
            END,
        )
    else:
        data = whole(content=[{"type": "text", "text": "So "}, {"type": "text", "text": "it is", "citations": cited}])
    answer = read(DIALECT.chat_reader(is_stream=is_stream), data)

    place = {"start_index": 3, "end_index": 8}
    assert [json.loads(delta.json) for delta in answer.deltas if isinstance(delta, Annotation)] == [
        {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", **place}},
        {"type": "url_citation", "url_citation": {"url": "https://b.example", "title": "https://b.example", **place}},
    ]
    opaque = [json.loads(delta.block.json) for delta in answer.deltas if isinstance(delta, OpaqueDelta)]
    assert opaque == [{"type": "text", "text": "So "}, {"type": "text", "text": "it is", "citations": cited}]


@pytest.mark.parametrize(
    ("said", "reason", "unknown"),
    [
        ("end_turn", "stop", []),
        ("stop_sequence", "stop", []),
        ("pause_turn", "stop", []),
        ("compaction", "stop", []),
        ("max_tokens", "length", []),
        ("model_context_window_exceeded", "length", []),
        ("tool_use", "tool_calls", []),
        ("refusal", "content_filter", []),
        ("tired", "length", ["tired"]),
    ],
)
def test_every_reason_to_stop_has_a_meaning(said: str, reason: str, unknown: list[str]) -> None:
    reader = stream()
    answer = read(reader, sse(start(input_tokens=1, output_tokens=1), ending(said, output_tokens=1), END))

    assert answer.deltas == [Finish(reason=reason, native_reason=said)]  # pyright: ignore[reportArgumentType] (a table)
    assert (reader.finish_reason, reader.native_finish_reason) == (reason, said)
    assert list(reader.unknown_finish_reasons) == unknown


@pytest.mark.requirement("T-1", "P-6")
@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 1}, {"output_tokens": 15}, Usage(input_uncached=10, output_text=15)),
        # servers that are only compatible know the prompt at the end
        ({"output_tokens": 0}, {"input_tokens": 10, "output_tokens": 15}, Usage(input_uncached=10, output_text=15)),
        (
            {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 7, "cache_read_input_tokens": 90, "output_tokens": 2},
            Usage(input_uncached=7, cache_read=90, output_text=2),
        ),
        (
            {"input_tokens": 7, "cache_read_input_tokens": 90, "output_tokens": 1},
            {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 2},
            Usage(input_uncached=7, cache_read=90, output_text=2),
        ),
        (
            {
                "input_tokens": 4,
                "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "output_tokens": 1,
            },
            {
                "output_tokens": 12,
                "output_tokens_details": {"thinking_tokens": 5},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
                "iterations": [{"input_tokens": 4, "output_tokens": 12}],
            },
            Usage(
                input_uncached=4, cache_write_5m=10, cache_write_1h=20, output_text=7, output_reasoning=5,
                search_units=2,
            ),
        ),
    ],
)  # fmt: skip
def test_counts_of_a_stream_are_the_last_word_on_each_and_never_a_sum(first: Json, last: Json, usage: Usage) -> None:
    reader = stream()
    read(reader, sse(start(**first), ending(None, output_tokens=1), ending(**last), END))

    report = reader.usage()
    assert report is not None
    assert (report.usage, report.source) == (usage, UsageSource.PROVIDER)


@pytest.mark.requirement("L-7", "B-1")
def test_what_the_cache_took_is_counted_beside_the_prompt_once() -> None:
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 12_304, "cache_read_input_tokens": 0}
    reader = DIALECT.chat_reader(is_stream=False)
    read(reader, whole(usage={**usage, "output_tokens": 550}))

    report = reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=3, cache_write_5m=12_304, output_text=550)
    assert json.loads(report.raw) == {**usage, "output_tokens": 550}


def test_stream_that_breaks_off_has_the_provider_s_prompt_and_an_estimate_of_what_it_wrote() -> None:
    reader = stream()
    read(
        reader,
        sse(
            start(input_tokens=10, cache_read_input_tokens=5, output_tokens=1),
            block(0, type="text", text=""),
            more(0, "text_delta", text="12345678"),
        ),
    )

    report = reader.usage()
    assert isinstance(reader.error, UpstreamProtocolError)
    assert report is not None
    assert completed(report, 1000, reader.written) == UsageReport(
        Usage(input_uncached=10, cache_read=5, output_text=2), UsageSource.ESTIMATED, report.raw
    )


def test_events_that_nobody_knows_pass_in_native_form_and_are_skipped_in_neutral_form() -> None:
    events: list[Json] = [
        {"type": "ping"},
        start(input_tokens=1, output_tokens=1),
        {"type": "future", "index": "x", "delta": 5},
        block(0, type="text", text="Hi"),
        more(0, "future_delta", future=1),
        more(7, "text_delta", text="of no block"),
        closed(7),
        closed(0),
        ending(output_tokens=1),
        END,
    ]
    neutral, native = stream(), stream(is_native=True)

    assert read(neutral, sse(*events)).deltas == [
        TextDelta(text="Hi"),
        Finish(reason="stop", native_reason="end_turn"),
    ]
    assert [json.loads(event) for event in read(native, sse(*events)).native] == events
    assert (neutral.error, native.error) == (None, None)


@pytest.mark.parametrize(("said", "tier"), [("standard", "default"), ("priority", "priority"), (None, "")])
def test_tier_is_told_in_openai_s_words(said: str | None, tier: str) -> None:
    answer = read(DIALECT.chat_reader(is_stream=False), whole(usage={"input_tokens": 1, "service_tier": said}))

    assert answer.info is not None
    assert answer.info.created > 1_700_000_000
    assert msgspec.structs.replace(answer.info, created=0) == msgspec.structs.replace(
        answer.info, id="msg_1", model="claude-x", created=0, service_tier=tier
    )


def test_empty_answer_is_an_answer() -> None:
    reader = DIALECT.chat_reader(is_stream=False)
    assert read(reader, whole()).deltas == [Finish(reason="stop", native_reason="end_turn")]
    assert reader.error is None


def test_model_without_a_date_has_none() -> None:
    data = b'{"data":[{"id":"a","created_at":"soon"},{"id":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false}'
    models = read(DIALECT.models_reader(), data).models

    assert [(model.id, model.created) for model in models] == [("a", 0), ("b", 0)]
