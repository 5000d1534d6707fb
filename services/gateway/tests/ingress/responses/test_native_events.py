"""A provider's own responses as they leave us: untouched but for their usage and for what is said about the store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from llm_manager.core.errors import UpstreamProtocolError, UpstreamTimeout
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.responses.native_events import NativeResponseEvents, with_usage, without_store
from llm_manager.gateway.ingress.responses.replay import replayed
from llm_manager.testing.answers import answer_of_reading, differences
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USED = Outcome(UsageReport(Usage(), UsageSource.PROVIDER), Cost(CostState.PRICED, 2_500_000))
COMPLETED = b'{"type":"response.completed","sequence_number":3,"response":{"id":"resp_1","status":"completed","x":1}}'
DELTA = b'{"type":"response.output_text.delta","sequence_number":2,"delta":"Hi", "x": 1.50}'


def _good(*, is_stream: bool) -> list[Recording]:
    if why_absent() is not None:
        return []
    found = load(providers=("openai", "openai_compatible"), operations=("responses",))
    return [item for item in found if item.status == 200 and item.is_stream is is_stream]


def _has_ended(recording: Recording) -> bool:
    """Whether it is one that is stored: a background response (recordings, quirk 31) is not."""
    return recording.expected["finish_reason"] in ("completed", "max_output_tokens", "content_filter")


def _events(body: bytes) -> list[bytes]:
    return [data.encode() for _, data, _ in oracle().sse_events(body) if data != "[DONE]"]


def _ids(recording: Recording) -> str:
    return recording.id


recorded = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


@recorded
@pytest.mark.requirement("B8", "B-17", "T-14")
@pytest.mark.parametrize("recording", _good(is_stream=True), ids=_ids)
def test_a_recorded_stream_leaves_as_it_came_but_for_its_usage(recording: Recording) -> None:
    events = _events(recording.body)
    writer = NativeResponseEvents(with_cost=True)
    stream = b"".join(writer.write(Piece(native=(event,))) for event in events) + writer.finish(USED)
    left = _events(stream)
    assert left[:-1] == events[:-1]
    was, is_now = json.loads(events[-1]), json.loads(left[-1])
    assert is_now["response"]["usage"]["cost"] == 2.5e-06
    assert {**is_now["response"], "usage": 0} == {**was["response"], "usage": 0}
    assert json.loads(writer.final or b"") == is_now["response"]
    _, reading = oracle().read("openai", "openai.responses", 200, stream)
    assert differences(answer_of_reading(reading), {**recording.expected, "choices_text": None}) == []
    assert reading["total_tokens"] == recording.expected["total_tokens"]


@recorded
@pytest.mark.requirement("B-16", "B-17", "T-14")
@pytest.mark.parametrize("recording", _good(is_stream=False), ids=_ids)
def test_a_recorded_response_leaves_with_every_count_that_strict_clients_look_for(recording: Recording) -> None:
    was = json.loads(recording.body)
    body = with_usage(recording.body, USED, with_cost=False)
    is_now = json.loads(body)
    assert {**is_now, "usage": 0} == {**was, "usage": 0}
    if was.get("usage"):
        assert {"cached_tokens", "cache_write_tokens"} <= is_now["usage"]["input_tokens_details"].keys()
        assert is_now["usage"]["total_tokens"] == was["usage"]["total_tokens"]
    problems = _problems(is_now)
    # what is still wrong is in the provider's own items, which are passed on untouched
    assert {place for place in problems if place[:1] == ("usage",)} == set()
    _, reading = oracle().read("openai", "openai.responses", 200, body)
    assert differences(answer_of_reading(reading), {**recording.expected, "choices_text": None}) == []


@recorded
@pytest.mark.parametrize("recording", [item for item in _good(is_stream=False) if _has_ended(item)], ids=_ids)
def test_a_recorded_response_is_read_the_same_from_its_events_later(recording: Recording) -> None:
    stream = replayed(recording.body, after=None)
    _, reading = oracle().read("openai", "openai.responses", 200, stream)
    assert differences(answer_of_reading(reading), {**recording.expected, "choices_text": None}) == []
    assert reading["stream_info"]["text_from_deltas_equals_final"]
    assert reading["stream_info"]["reasoning_from_deltas_equals_final"]
    assert reading["stream_info"]["args_from_deltas_equal_final"]


def _problems(response: Any) -> set[tuple[object, ...]]:
    try:
        Response.model_validate(response)
    except ValidationError as error:
        return {problem["loc"] for problem in error.errors()}
    return set()


def test_the_last_event_waits_until_the_attempt_has_ended() -> None:
    writer = NativeResponseEvents(with_cost=True)
    assert (
        writer.write(Piece(native=(DELTA, COMPLETED))) == b"event: response.output_text.delta\ndata: " + DELTA + b"\n\n"
    )
    assert writer.final is None
    assert _events(writer.finish(USED)) == [COMPLETED]
    assert writer.final == b'{"id":"resp_1","status":"completed","x":1}'


@pytest.mark.requirement("B-6")
def test_a_broken_stream_ends_with_an_error_in_place_of_the_last_event() -> None:
    writer = NativeResponseEvents(with_cost=True)
    writer.write(Piece(native=(DELTA, COMPLETED)))
    (event,) = map(json.loads, _events(writer.fail(UpstreamTimeout("Silent."), request_id="r")))
    EVENTS.validate_python(event)
    assert (event["type"], event["sequence_number"], event["code"]) == ("error", 3, "upstream_timeout")
    assert writer.final is None


def test_the_last_event_can_still_say_that_nothing_is_stored() -> None:
    writer = NativeResponseEvents(with_cost=True)
    assert writer.unstored(b"anything") == b"anything"
    writer.write(Piece(native=(COMPLETED,)))
    (event,) = map(json.loads, _events(writer.unstored(writer.finish(USED))))
    assert event["response"] == {"id": "resp_1", "status": "completed", "x": 1, "store": False}


def test_what_is_no_event_and_what_has_no_end_are_errors() -> None:
    writer = NativeResponseEvents(with_cost=True)
    with pytest.raises(UpstreamProtocolError):
        writer.write(Piece(native=(b"[1]",)))
    with pytest.raises(UpstreamProtocolError):
        writer.finish(USED)
    with pytest.raises(UpstreamProtocolError):
        with_usage(b"[1]", USED, with_cost=True)


@pytest.mark.requirement("L-11")
@pytest.mark.parametrize(
    ("usage", "outcome", "expected"),
    [
        (None, USED, None),
        (
            {"input_tokens": 1, "input_tokens_details": None, "cost": 7, "more": [1]},
            USED,
            {
                "input_tokens": 1,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
                "cost": 2.5e-06,
                "more": [1],
            },
        ),
        (
            {
                "input_tokens_details": {"cache_write_tokens": 4, "cached_tokens": None},
                "output_tokens_details": {"a": 1},
            },
            Outcome(UsageReport(source=UsageSource.ESTIMATED)),
            {
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 0, "a": 1},
                "cost": None,
                "is_estimated": True,
            },
        ),
    ],
    ids=["none", "bare", "estimated"],
)
def test_usage_gets_its_cost_and_its_missing_counts(usage: object, outcome: Outcome, expected: object) -> None:
    body = json.dumps({"id": "resp_1", "usage": usage}).encode()
    assert json.loads(with_usage(body, outcome, with_cost=True)) == {"id": "resp_1", "usage": expected}


def test_everything_else_of_a_response_keeps_its_bytes() -> None:
    body = b'{"id":"r","output":[{"signature":"a+/=","n":1.50e3}],"usage":{}}'
    assert b'"output":[{"signature":"a+/=","n":1.50e3}]' in with_usage(body, USED, with_cost=True)
    assert without_store(body) == body[:-1] + b',"store":false}'
