"""Neutral steps as a streamed response: read by the SDK's own types and by the independent reader of the recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    FinishReason,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import ProviderRateLimited, UpstreamProtocolError, UpstreamTimeout
from llm_manager.core.messages import OpaqueBlock
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.opaque import unpacked
from llm_manager.gateway.ingress.responses.events import Answer, ResponseEvents
from llm_manager.gateway.ingress.responses.shape import Shape, new_response_id
from llm_manager.gateway.ingress.responses.translation import read_request
from llm_manager.testing.answers import answer_of_reading, differences
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = Usage(input_uncached=5, cache_read=3, cache_write_5m=2, output_text=4, output_reasoning=6, requests=1)
USED = Outcome(UsageReport(USAGE, UsageSource.PROVIDER), Cost(CostState.PRICED, 1_500_000))
INFO = AnswerInfo(id="x", model="m-2026", created=7, service_tier="flex")
STOP = Finish(reason="stop")
# What Open Responses 2026-04-24 (ResponseResource) has in every response, and what of it may not be null.
NEVER_NULL = {
    *("id", "object", "created_at", "status", "model", "output", "tools", "tool_choice", "truncation", "text", "top_p"),
    *("parallel_tool_calls", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "store"),
    *("background", "service_tier", "metadata"),
}
ALWAYS_THERE = NEVER_NULL | {
    *("completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "reasoning", "user"),
    *("usage", "max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key"),
}


def _answer(*, with_cost: bool = True, is_stored: bool = True, **body: object) -> Answer:
    request = read_request(json.dumps({"model": "m", "input": "Hi", **body}).encode())
    shape = Shape(id=new_response_id(), created_at=5, model="m", request=request)
    return Answer(shape, with_cost=with_cost, is_stored=is_stored, clock=lambda: 9.0)


def _stream(pieces: Iterable[Sequence[Delta]], **body: Any) -> bytes:
    writer = ResponseEvents(_answer(**body))
    data = b"".join(writer.write(Piece(info=INFO, deltas=tuple(deltas))) for deltas in pieces)
    return data + writer.finish(USED)


def _checked(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream that obeys the rules of all streams."""
    events: list[dict[str, Any]] = []
    for name, data, _ in oracle().sse_events(stream):
        event = json.loads(data)
        EVENTS.validate_python(event)
        assert event["type"] == name
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert added == list(range(len(added)))
    assert sorted(done) == added
    for event in events:
        if "response" in event:
            _check_response(event["response"])
    return events


def _check_response(response: dict[str, Any]) -> None:
    Response.model_validate(response)
    assert response.keys() >= ALWAYS_THERE
    assert not {name for name in NEVER_NULL if response[name] is None}
    ids = [item["id"] for item in response["output"]]
    assert len(set(ids)) == len(ids)
    for item in response["output"]:
        if item["type"] == "reasoning":
            assert isinstance(item["summary"], list)


def _types(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@pytest.mark.requirement("B-16", "B8")
def test_reasoning_text_and_a_call_stream_in_the_order_of_openai() -> None:
    events = _checked(
        _stream(
            [
                [ReasoningDelta(text="I "), ReasoningDelta(text="think.")],
                [TextDelta(text="Hello "), TextDelta(text="there")],
                [ToolCallStart(index=0, id="call_1", name="add"), ToolCallArguments(index=0, fragment='{"a":1}')],
                [Finish(reason="tool_calls")],
            ]
        )
    )
    assert _types(events) == [
        *("created", "in_progress", "output_item.added", "reasoning_summary_part.added"),
        *("reasoning_summary_text.delta", "reasoning_summary_text.delta", "reasoning_summary_text.done"),
        *("reasoning_summary_part.done", "output_item.done", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_item.added", "function_call_arguments.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("function_call_arguments.done", "output_item.done", "completed"),
    ]
    response = events[-1]["response"]
    assert response["output"] == [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "I think."}]
    assert (response["status"], response["model"], response["service_tier"]) == ("completed", "m-2026", "flex")
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 6},
        "total_tokens": 20,
        "cost": 1.5e-06,
    }


def test_text_behind_a_call_is_a_message_of_its_own() -> None:
    call = [ToolCallStart(index=0, id="c", name="f"), ToolCallArguments(index=0, fragment="{}")]
    events = _checked(_stream([[TextDelta(text="a")], call, [TextDelta(text="b"), Finish(reason="tool_calls")]]))
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert [item["content"][0]["text"] for item in (output[0], output[2])] == ["a", "b"]


@pytest.mark.requirement("L-29")
def test_interleaved_parallel_calls_keep_their_arguments_apart() -> None:
    deltas: list[Delta] = [
        ToolCallStart(index=0, id="a", name="f"),
        ToolCallStart(index=1, id="", name="g"),
        ToolCallArguments(index=1, fragment='{"y":'),
        ToolCallArguments(index=0, fragment="{}"),
        ToolCallArguments(index=1, fragment="2}"),
        Finish(reason="tool_calls"),
    ]
    output = _checked(_stream([[delta] for delta in deltas]))[-1]["response"]["output"]
    assert [(item["name"], item["arguments"]) for item in output] == [("f", "{}"), ("g", '{"y":2}')]
    assert output[0]["call_id"] == "a"
    assert output[1]["call_id"].startswith("call_")


def test_arguments_of_a_call_that_never_began_are_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        _stream([[ToolCallArguments(index=0, fragment="{}"), STOP]])


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = _checked(
        _stream([[TextDelta(text="Well. ")], [RefusalDelta(text="I "), RefusalDelta(text="won't")], [STOP]])
    )
    assert events[-1]["response"]["output"][0]["content"] == [
        {"type": "output_text", "text": "Well. ", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "I won't"},
    ]


def test_log_probabilities_and_citations_stand_at_their_text() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "Ho", "logprob": -1.0}]}
    late = {"token": "!", "logprob": -0.1}
    citation = {"url_citation": {"url": "https://a.example", "start_index": 0, "end_index": 2}}
    events = _checked(
        _stream(
            [
                [TextDelta(text="Hi"), Logprobs(json=json.dumps({"content": [token]}).encode())],
                [Annotation(json=json.dumps({"type": "url_citation", **citation}).encode())],
                [Annotation(json=b'{"type":"mystery"}')],
                [Logprobs(json=json.dumps({"content": [late]}).encode()), STOP],
            ]
        )
    )
    part = events[-1]["response"]["output"][0]["content"][0]
    assert part["annotations"] == [
        {"type": "url_citation", "url": "https://a.example", "title": "", "start_index": 0, "end_index": 2}
    ]
    assert part["logprobs"] == [
        {
            "token": "Hi",
            "bytes": [72, 105],
            "logprob": -0.5,
            "top_logprobs": [{"token": "Ho", "bytes": [72, 111], "logprob": -1.0}],
        },
        {"token": "!", "bytes": [33], "logprob": -0.1, "top_logprobs": []},
    ]


@pytest.mark.requirement("T-14", "B-17")
def test_blocks_of_a_provider_leave_as_encrypted_reasoning() -> None:
    block = OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking","signature":"s+/="}')
    events = _checked(_stream([[ReasoningDelta(text="hm"), TextDelta(text="Hi"), OpaqueDelta(block=block), STOP]]))
    item = events[-1]["response"]["output"][-1]
    assert (item["type"], item["summary"]) == ("reasoning", [])
    assert unpacked(item["encrypted_content"]) == (block,)


@pytest.mark.parametrize(("reason", "said"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(reason: FinishReason, said: str) -> None:
    events = _checked(_stream([[ReasoningDelta(text="a"), TextDelta(text="b"), Finish(reason=reason)]]))
    response = events[-1]["response"]
    assert events[-1]["type"] == "response.incomplete"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": said})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["completed_at"] is None


def test_an_answer_without_a_finish_is_no_success() -> None:
    writer = ResponseEvents(_answer())
    writer.write(Piece(deltas=(TextDelta(text="a"),)))
    with pytest.raises(UpstreamProtocolError):
        writer.finish(USED)
    with pytest.raises(UpstreamProtocolError):
        _stream([[STOP], [TextDelta(text="more")]])


@pytest.mark.requirement("B-6")
def test_nothing_is_written_before_the_first_step() -> None:
    writer = ResponseEvents(_answer())
    assert writer.write(Piece(info=INFO)) == b""
    assert writer.write(Piece(deltas=(ReasoningDelta(text="a"),))).startswith(b"event: response.created\n")


def test_a_stream_that_breaks_says_so_twice_and_never_looks_good() -> None:
    writer = ResponseEvents(_answer())
    data = writer.write(Piece(deltas=(TextDelta(text="Hel"),)))
    data += writer.fail(UpstreamTimeout("The provider was silent."), request_id="r")
    events = _checked(data)
    assert _types(events)[-2:] == ["error", "failed"]
    assert events[-2]["message"] == "The provider was silent."
    assert events[-2]["error"] == {
        "message": "The provider was silent.",
        "type": "upstream_error",
        "param": None,
        "code": "upstream_timeout",
    }
    failed = events[-1]["response"]
    assert failed["error"] == {"code": "server_error", "message": "The provider was silent."}
    assert (failed["status"], failed["output"][0]["status"], failed["usage"]) == ("failed", "incomplete", None)
    assert writer.final == msgspec.json.encode(failed)


def test_a_stream_can_break_before_its_first_step_after_a_heartbeat() -> None:
    writer = ResponseEvents(_answer())
    events = _checked(writer.fail(ProviderRateLimited("Slow down."), request_id="r"))
    assert _types(events) == ["created", "in_progress", "error", "failed"]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


def test_the_last_event_can_still_say_that_nothing_is_stored() -> None:
    writer = ResponseEvents(_answer())
    written = writer.write(Piece(deltas=(TextDelta(text='say "store":true'), STOP))) + writer.finish(USED)
    events = _checked(writer.unstored(written))
    assert [event["response"]["store"] for event in events if "response" in event] == [True, True, False]


def test_what_was_asked_is_repeated() -> None:
    asked: dict[str, Any] = {
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "metadata": {"a": "b"},
        "temperature": 0.0,
        "max_output_tokens": 9,
        "user": "u",
    }
    response = _checked(_stream([[STOP]], **asked))[-1]["response"]
    function = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
    assert {name: response[name] for name in asked} == {**asked, "tools": [function]}


@pytest.mark.parametrize(
    ("outcome", "usage"),
    [
        (Outcome(UsageReport(source=UsageSource.UNKNOWN)), None),
        (
            Outcome(UsageReport(Usage(input_uncached=1, output_text=2), UsageSource.ESTIMATED)),
            {
                "input_tokens": 1,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 3,
                "is_estimated": True,
                "cost": None,
            },
        ),
    ],
    ids=["unknown", "estimated"],
)
def test_usage_says_when_it_is_a_guess_or_not_known(outcome: Outcome, usage: object) -> None:
    answer = _answer()
    answer.add(Piece(deltas=(STOP,)))
    assert json.loads(msgspec.json.encode(answer.ended(outcome)))["usage"] == usage


def test_a_whole_answer_is_the_last_event_of_its_stream() -> None:
    answer, writer = _answer(with_cost=False), ResponseEvents(_answer(with_cost=False))
    piece = Piece(info=INFO, deltas=(TextDelta(text="Hi"), STOP))
    answer.add(piece)
    whole = msgspec.json.encode(answer.ended(USED))
    last = _checked(writer.write(piece) + writer.finish(USED))[-1]["response"]
    key, other = json.loads(whole)["id"].removeprefix("resp_"), last["id"].removeprefix("resp_")
    assert json.loads(whole.replace(key.encode(), other.encode())) == last
    assert "cost" not in last["usage"]


PROVIDERS = ("anthropic", "cohere", "gemini", "groq", "mistral", "ollama", "openai", "openai_compatible", "together")


def _good() -> list[Recording]:
    if why_absent() is not None:
        return []
    found = load(providers=PROVIDERS, operations=("chat", "responses"))
    return [item for item in found if item.status == 200 and not item.expected["error"] and _is_finished(item)]


def _is_finished(recording: Recording) -> bool:
    return recording.expected["finish_reason_normalised"] in ("stop", "length", "tool_calls", "content_filter")


def _deltas(expected: Any) -> list[Delta]:
    """What a provider said, as neutral steps of a few characters each."""
    reading = answer_of_reading(expected)
    deltas: list[Delta] = [ReasoningDelta(text=text) for text in _cut(reading.reasoning)]
    deltas += [TextDelta(text=text) for text in _cut(reading.text)]
    deltas += [RefusalDelta(text=text) for text in _cut(reading.refusal or "")]
    for index, (name, arguments) in enumerate(reading.tool_calls):
        deltas.append(ToolCallStart(index=index, id=f"call_{index}", name=name))
        deltas += [ToolCallArguments(index=index, fragment=text) for text in _cut(arguments)]
    return [*deltas, Finish(reason=cast("FinishReason", reading.finish_reason))]


def _cut(text: str) -> list[str]:
    return [text[at : at + 40] for at in range(0, len(text), 40)]


@pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
@pytest.mark.requirement("B8", "L-29", "B-16")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_every_provider_said_is_read_from_our_events_as_it_was(provider: str) -> None:
    found = [item for item in _good() if item.provider == provider]
    assert found
    wrong: dict[str, list[str]] = {}
    for recording in found:
        stream = _stream([[delta] for delta in _deltas(recording.expected)])
        events = oracle().sse_events(stream)
        Response.model_validate(json.loads(events[-1][1])["response"])
        _, reading = oracle().read("openai", "openai.responses", 200, stream)
        said = {**recording.expected, "choices_text": None}
        found_differences = differences(answer_of_reading(reading), said)
        if found_differences or not reading["stream_info"]["text_from_deltas_equals_final"]:
            wrong[recording.id] = found_differences
    assert wrong == {}
