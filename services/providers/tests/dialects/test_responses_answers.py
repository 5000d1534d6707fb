"""What no recording holds: failures after the first events, servers that leave out events, odd but legal answers."""

from __future__ import annotations

import itertools
import json
from typing import Any  # JSON documents

import pytest

from llm_manager.core.deltas import (
    Finish,
    Logprobs,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageSource
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.openai_responses.reader import ResponsesReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.testing.answers import answer_of_deltas
from llm_manager.testing.stream_validator import delta_violations
from llm_manager.testing.upstream import sse

Json = dict[str, Any]
USAGE: Json = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}


def reader(*, native: bool = False, stream: bool = True, kind: str = "openai") -> ResponsesReader:
    numbers = itertools.count()
    dialect = OpenAiResponses(load_facts()[kind], new_id=lambda: f"made-up-{next(numbers)}")
    return dialect.native_chat_reader(is_stream=stream) if native else dialect.chat_reader(is_stream=stream)


def read(into: ResponsesReader, *events: object) -> Pieces:
    answer = into.feed(b"".join(sse(*events)))
    answer.extend(into.finish())
    return answer


def read_body(body: Json, *, native: bool = False, stream: bool = False) -> tuple[ResponsesReader, Pieces]:
    into = reader(native=native, stream=stream)
    answer = into.feed(json.dumps(body).encode())
    answer.extend(into.finish())
    return into, answer


def response(*output: Json, status: str = "completed", **more: Any) -> Json:
    return {"id": "resp_1", "object": "response", "created_at": 5, "model": "m-1", "status": status} | {
        "output": list(output),
        "usage": USAGE,
        **more,
    }


def created() -> Json:
    return {"type": "response.created", "response": response(status="in_progress", usage=None)}


def added(item: Json, index: int = 0) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Json, index: int = 0) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def ended(*output: Json, status: str = "completed", **more: Any) -> Json:
    return {"type": f"response.{status}", "response": response(*output, status=status, **more)}


def message(text: str = "Hi", item_id: str = "msg_1", **part: Any) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}


def text_delta(text: str, index: int = 0, **more: Any) -> Json:
    return {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": text, **more}


SHELLS: list[Json] = [
    created(),
    {"type": "response.in_progress", "response": response(status="in_progress", usage=None)},
    {"type": "keepalive", "sequence_number": 2},
    added({"id": "rs_1", "type": "reasoning", "summary": []}),
    {"type": "response.reasoning_summary_part.added", "summary_index": 0, "part": {"type": "summary_text", "text": ""}},
]


@pytest.mark.requirement("B-6", "S28")
@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        ({"type": "error", "code": "insufficient_quota", "message": "No."}, ProviderRateLimited, "insufficient_quota"),
        ({"type": "error", "error": {"code": "invalid_prompt", "message": "No."}}, UpstreamRefused, "invalid_prompt"),
        (ended(status="failed", error={"code": "server_error", "message": "No."}), UpstreamUnavailable, "server_error"),
        (
            ended(status="failed", error={"code": "rate_limit_exceeded", "message": "No."}),
            ProviderRateLimited,
            "rate_limit_exceeded",
        ),
        (ended(status="failed", error=None), UpstreamUnavailable, "failed"),
        (ended(status="cancelled"), UpstreamUnavailable, "cancelled"),
        ({"error": {"message": "No.", "code": 429}}, ProviderRateLimited, "429"),
        (
            {"type": "error", "error": {"type": "authentication_error", "code": None, "message": "No."}},
            UpstreamCredentialsExhausted,
            "",
        ),
    ],
)
def test_failure_before_anything_was_said_leaves_nothing_behind(
    event: Json, kind: type[LlmManagerError], code: str, is_native: bool
) -> None:
    into = reader(native=is_native)
    answer = read(into, *SHELLS, event)

    assert not answer
    assert isinstance(into.error, kind)
    assert into.error.upstream is not None
    assert (into.error.upstream.http_status, into.error.upstream.code) == (200, code)
    assert into.finish_reason == ""


@pytest.mark.requirement("B-6")
def test_what_only_announces_an_answer_is_held_until_its_first_content() -> None:
    into = reader(native=True)
    events = [*SHELLS, {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "Hm"}]
    held = [into.feed(piece).native for piece in sse(*events)]

    assert held[:-1] == [[]] * len(SHELLS)
    assert [json.loads(document) for document in held[-1]] == events


@pytest.mark.requirement("B-6")
@pytest.mark.parametrize(
    ("event", "count"), [({"type": "keepalive"}, 64), ({"type": "keepalive", "x": "x" * 70_000}, 4)]
)
def test_what_is_held_does_not_grow_without_bound(event: Json, count: int) -> None:
    into = reader(native=True)
    sent = [len(into.feed(piece).native) for piece in sse(*[event] * (count + 2))]

    assert sent == [0] * (count - 1) + [count, 1, 1]


@pytest.mark.requirement("B-6", "L-25")
@pytest.mark.parametrize("is_native", [False, True])
def test_failure_after_content_is_an_error_and_keeps_what_was_used(is_native: bool) -> None:
    into = reader(native=is_native)
    answer = read(
        into,
        created(),
        added(message()),
        text_delta("Hi there"),
        {"type": "error", "code": "server_error", "message": "Overloaded", "sequence_number": 3},
        ended(status="failed", error={"code": "server_error", "message": "Overloaded"}),
    )

    assert isinstance(into.error, UpstreamUnavailable)
    assert into.written.text == {0: 8}
    report = into.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=10, output_text=4)
    if is_native:
        assert [json.loads(document)["type"] for document in answer.native] == [
            "response.created",
            "response.output_item.added",
            "response.output_text.delta",
        ]
    else:
        assert answer.deltas == [TextDelta(text="Hi there")]


@pytest.mark.requirement("P-1", "L-29", "B-10")
def test_parallel_calls_whose_pieces_alternate_stay_apart() -> None:
    calls: list[Json] = [
        {"id": f"fc_{n}", "type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": f'{{"n":{n}}}'}
        for n in (1, 2)
    ]
    pieces = [
        {"type": "response.function_call_arguments.delta", "output_index": index, "delta": piece}
        for index, piece in ((2, '{"n"'), (1, '{"n":'), (2, ":2}"), (1, "1}"))
    ]
    opened = [added({**call, "arguments": ""}, index) for index, call in enumerate(calls, 1)]
    closed = [done(call, index) for index, call in reversed(list(enumerate(calls, 1)))]
    answer = read(reader(), created(), done(message("Hi")), *opened, *pieces, *closed, ended(message("Hi"), *calls))

    assert delta_violations(answer.deltas) == []
    assert answer_of_deltas(answer.deltas).tool_calls == [("f", '{"n":1}'), ("f", '{"n":2}')]
    assert [delta for delta in answer.deltas if isinstance(delta, ToolCallStart)] == [
        ToolCallStart(index=0, id="c1", name="f"),
        ToolCallStart(index=1, id="c2", name="f"),
    ]


@pytest.mark.parametrize(("first", "told"), [("auto", ""), ("flex", "flex"), (None, "")])
def test_tier_is_told_only_when_it_is_one_that_served(first: str | None, told: str) -> None:
    begun = {"type": "response.created", "response": response(status="in_progress", service_tier=first)}
    answer = read(reader(), begun, text_delta("Hi"), ended(message("Hi"), service_tier="default"))

    assert answer.info is not None
    assert answer.info.service_tier == told


def test_everything_is_said_once_although_a_stream_says_it_twice() -> None:
    call: Json = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    whole = {**call, "arguments": '{"a":1}'}
    reasoning: Json = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
    into = reader()
    answer = read(
        into,
        created(),
        added({**reasoning, "summary": []}),
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"},
        done(reasoning),
        added(message(""), 1),
        text_delta("Hi", 1),
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 1, "delta": "No"},
        done(message("Hi"), 1),
        added(call, 2),
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a"'},
        done(whole, 2),
        ended(reasoning, message("Hi"), whole),
    )

    assert into.error is None
    assert delta_violations(answer.deltas) == []
    assert answer.deltas == [
        ReasoningDelta(text="Hm"),
        TextDelta(text="Hi"),
        RefusalDelta(text="No"),
        ToolCallStart(index=0, id="c1", name="f"),
        ToolCallArguments(index=0, fragment='{"a"'),
        ToolCallArguments(index=0, fragment=":1}"),
        Finish(reason="tool_calls", native_reason="completed"),
    ]
    assert answer.info is not None
    assert (answer.info.id, answer.info.model, answer.info.created) == ("resp_1", "m-1", 5)


@pytest.mark.parametrize("is_told_by_items", [True, False])
def test_server_without_pieces_says_it_in_items_or_at_the_end(is_told_by_items: bool) -> None:
    call: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": {"a": 1}}
    events = [done(message("Hi")), done(call, 1)] if is_told_by_items else []
    answer = read(reader(kind="custom"), created(), *events, ended(message("Hi"), call))

    assert answer.deltas == [
        TextDelta(text="Hi"),
        ToolCallStart(index=0, id="c1", name="f"),
        ToolCallArguments(index=0, fragment='{"a":1}'),
        Finish(reason="tool_calls", native_reason="completed"),
    ]


def test_item_that_stands_elsewhere_at_the_end_is_not_said_again() -> None:
    answer = read(reader(kind="custom"), created(), text_delta("Hi", 1), done(message("Hi"), 1), ended(message("Hi")))

    assert answer.deltas == [TextDelta(text="Hi"), Finish(reason="stop", native_reason="completed")]


@pytest.mark.parametrize("is_native", [False, True])
def test_whole_answer_where_a_stream_was_asked_is_a_stream(is_native: bool) -> None:
    body = response(
        {"id": "rs_1", "type": "reasoning", "summary": []},
        message("Hi", annotations=[{"type": "url_citation", "url": "u", "title": "t", "start_index": 0}]),
    )
    into, answer = read_body(body, native=is_native, stream=True)

    assert into.error is None
    report = into.usage()
    assert report is not None
    assert (report.usage, report.source) == (Usage(input_uncached=10, output_text=4), UsageSource.PROVIDER)
    if not is_native:
        assert answer_of_deltas(answer.deltas).text == "Hi"
        assert len(answer.deltas) == 3
        return
    events = [json.loads(document) for document in answer.native]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress", "output_item.added", "output_item.done", "output_item.added"),
        *("content_part.added", "output_text.delta", "output_text.annotation.added", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    assert events[-1]["response"] == body


@pytest.mark.parametrize("data", [b"", b"   ", b"{", b"[]", b"data: {\n\n", b"data: 7\n\n", b"data: [DONE]\n\n"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_what_is_no_response_is_an_error(data: bytes, is_stream: bool) -> None:
    into = reader(stream=is_stream)
    assert not into.feed(data)
    assert not into.finish()
    assert isinstance(into.error, UpstreamProtocolError)


@pytest.mark.requirement("P-9", "L-30")
@pytest.mark.parametrize(
    ("status", "more", "reason", "native_reason", "unknown"),
    [
        ("completed", {}, "stop", "completed", []),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "length", "max_output_tokens", []),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, "content_filter", "content_filter", []),
        ("incomplete", {"incomplete_details": {"reason": "boredom"}}, "length", "boredom", ["boredom"]),
        ("incomplete", {"incomplete_details": None}, "length", "incomplete", ["incomplete"]),
    ],
)
def test_every_status_becomes_a_finish_that_clients_know(
    status: str, more: Json, reason: str, native_reason: str, unknown: list[str]
) -> None:
    streamed, whole = reader(), reader(stream=False)
    stream = read(streamed, created(), text_delta("Hi"), ended(message("Hi"), status=status, **more))
    whole.feed(json.dumps(response(message("Hi"), status=status, **more)).encode())
    body = whole.finish()

    for into, answer in ((streamed, stream), (whole, body)):
        assert answer.deltas[-1] == Finish(reason=reason, native_reason=native_reason)  # pyright: ignore[reportArgumentType] (a table of words)
        assert (into.finish_reason, into.native_finish_reason) == (reason, native_reason)
        assert list(into.unknown_finish_reasons) == unknown


def test_log_probabilities_come_once_and_in_the_form_of_chats() -> None:
    token: Json = {"token": "Hi", "logprob": -0.1234567890123456789, "top_logprobs": [{"token": "Ho", "logprob": -2}]}
    part = message("Hi", logprobs=[token])
    streamed = read(reader(), created(), text_delta("Hi", logprobs=[token]), done(part), ended(part))
    _, whole = read_body(response(part))

    for answer in (streamed, whole):
        (found,) = [delta for delta in answer.deltas if isinstance(delta, Logprobs)]
        assert json.loads(found.json) == {
            "content": [{**token, "bytes": None, "top_logprobs": [{"token": "Ho", "logprob": -2, "bytes": None}]}],
            "refusal": None,
        }


def test_events_that_are_named_outside_of_their_document_are_named_inside() -> None:
    body = b"".join(
        b"event: %b\ndata: %b\n\n" % (event.pop("type").encode(), json.dumps(event).encode())
        for event in (created(), text_delta("Hi"), ended(message("Hi")))
    )
    neutral, own = reader(), reader(native=True)

    assert neutral.feed(body).deltas == [TextDelta(text="Hi"), Finish(reason="stop", native_reason="completed")]
    assert [json.loads(document)["type"] for document in own.feed(body).native] == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]
    assert neutral.is_done
    assert own.is_done


@pytest.mark.requirement("L-8", "P-10", "S19")
def test_counts_are_read_where_the_response_stands_and_details_do_not_overlap() -> None:
    usage: Json = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "cost": 0.00123,
        "strange": 7,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    into = reader(kind="openrouter")
    read(into, created(), text_delta("Hi"), ended(message("Hi"), usage=usage))
    report = into.usage()

    assert report is not None
    assert report.usage == Usage(
        input_uncached=30, cache_read=60, cache_write_5m=10, output_text=20, output_reasoning=30
    )
    assert (report.source, report.reported_cost_usd) == (UsageSource.PROVIDER, "0.00123")
    assert json.loads(report.raw) == usage
