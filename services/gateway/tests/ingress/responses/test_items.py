"""Items as they are kept: lists of input, history for another provider, replay by number."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Raw
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_item import ResponseItem
from pydantic import TypeAdapter

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.ingress.opaque import packed
from llm_manager.gateway.ingress.responses.items import history, listed, page_of, references_in, resolved, with_input
from llm_manager.gateway.ingress.responses.replay import replayed
from llm_manager.gateway.ingress.responses.turn import Turn
from llm_manager.testing.recordings import oracle

ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
AT = datetime(2026, 11, 25, tzinfo=UTC)
LM1 = packed([OpaqueBlock(dialect="gemini_generate", json=b"{}")])
OUTPUT: list[dict[str, Any]] = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello", "annotations": []}, {"type": "refusal", "refusal": "no"}],
    },
    {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"},
]
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": OUTPUT,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "usage": None,
}


def _turn(*items: object, response_id: str = "resp_1", output: object = OUTPUT, provider: str = "openai") -> Turn:
    return Turn(
        id=response_id,
        app_id="a",
        previous_id="",
        model="m",
        provider=provider,
        is_upstream=False,
        created_at=AT,
        expires_at=AT,
        input=json.dumps(items).encode(),
        response=json.dumps({**RESPONSE, "id": response_id, "output": output}).encode(),
    )


def _objects(raws: list[Raw]) -> list[Any]:
    return [json.loads(bytes(raw)) for raw in raws]


SENT = [
    {"role": "user", "content": "Hi"},
    {"role": "user", "content": [{"type": "input_image", "image_url": "https://a.example/x", "detail": None}]},
    {"role": "assistant", "content": "yes"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "r"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "r"},
    {"type": "reasoning", "encrypted_content": LM1},
    {"type": "compaction", "encrypted_content": LM1},
]


@pytest.mark.requirement("B-16")
def test_every_item_is_listed_with_an_id_that_stays_and_in_the_form_of_openai() -> None:
    turns = [_turn({"role": "user", "content": "First"}), _turn(*SENT, response_id="resp_2")]
    items = listed(turns)
    for item in items:
        ITEM.validate_python(item)
    assert [item["id"] for item in items] == [item["id"] for item in listed(turns)]
    assert len({item["id"] for item in items}) == len(items) == 1 + len(OUTPUT) + len(SENT)
    assert items[0]["content"] == [{"type": "input_text", "text": "First"}]
    assert items[6]["content"] == [{"type": "input_image", "image_url": "https://a.example/x", "detail": "auto"}]


def test_pages_follow_each_other_in_both_orders() -> None:
    items: list[dict[str, object]] = [{"id": name} for name in "abcde"]
    first = page_of(items, after=None, limit=2, order="desc")
    assert first == {
        "object": "list",
        "data": [{"id": "e"}, {"id": "d"}],
        "first_id": "e",
        "last_id": "d",
        "has_more": True,
    }
    assert page_of(items, after="d", limit=9, order="desc")["data"] == [{"id": "c"}, {"id": "b"}, {"id": "a"}]
    assert page_of(items, after="b", limit=3, order="asc")["has_more"] is False
    assert page_of([], after=None, limit=3, order="asc")["last_id"] == ""


def test_a_page_behind_an_item_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        page_of([{"id": "a"}], after="z", limit=1, order="asc")
    assert caught.value.param == "after"


def test_history_in_neutral_words_is_everything() -> None:
    turn = _turn({"role": "user", "content": "Hi"})
    assert _objects(history([turn], provider=None)) == [{"role": "user", "content": "Hi"}, *OUTPUT]


@pytest.mark.requirement("B-17", "T-14")
def test_history_for_another_provider_leaves_out_what_only_the_first_could_read() -> None:
    output: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"},
        {"type": "reasoning", "id": "rs_2", "summary": []},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": LM1},
        OUTPUT[1],
    ]
    turn = _turn(output=output)
    message = {name: value for name, value in OUTPUT[1].items() if name not in ("id", "status")}
    assert _objects(history([turn], provider="other")) == [output[2], message]
    assert _objects(history([turn], provider="openai")) == [output[0], output[2], message]


def test_references_are_replaced_by_what_they_stand_for() -> None:
    items = [Raw(b'{"type":"item_reference","id":"msg_1"}'), Raw(b'{"id":"msg_2"}'), Raw(b'{"role":"user"}'), Raw(b"1")]
    assert references_in(items) == ["msg_1", "msg_2"]
    known = {"msg_1": Raw(b'{"x":1}')}
    assert resolved(items, known.get) == [Raw(b'{"x":1}'), *items[1:]]


def test_a_body_gets_its_history_and_keeps_its_bytes() -> None:
    body = b'{"model":"m","temperature":1.50,"previous_response_id":"resp_1","input":"Hi"}'
    assert with_input(body, [Raw(b'{"a":1}')]) == b'{"model":"m","temperature":1.50,"input":[{"a":1}]}'


def test_a_replay_has_dense_numbers_and_goes_on_after_any_of_them() -> None:
    whole = replayed(json.dumps(RESPONSE).encode(), after=None)
    events = [json.loads(data) for _, data, _ in oracle().sse_events(whole)]
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1] == {"type": "response.completed", "response": RESPONSE, "sequence_number": len(events) - 1}
    for after in (0, 5, len(events) - 1):
        rest = [
            json.loads(data) for _, data, _ in oracle().sse_events(replayed(json.dumps(RESPONSE).encode(), after=after))
        ]
        assert rest == events[after + 1 :]
