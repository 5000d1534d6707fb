"""Cohere's requests in neutral words, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.gateway.ingress.cohere.translation import chat_input

Json = dict[str, Any]
HI: Json = {"role": "user", "content": "Hi"}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
SCHEMA = {"type": "object"}
ASKED = (Message(role="user", parts=(Text(text="Hi"),)),)


def _chat(*messages: Json, **members: Any) -> ChatInput:
    return chat_input(json.dumps({"model": "m", "messages": messages or (HI,), **members}).encode())


def _parts(message: Json) -> tuple[object, ...]:
    return _chat(message).messages[0].parts


@pytest.mark.requirement("S26", "B-15")
def test_every_parameter_has_its_neutral_word() -> None:
    sampling = Sampling(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, stop=("x",), seed=7, presence_penalty=1, frequency_penalty=-1
    )
    asked = _chat(
        max_tokens=5,
        temperature=0.5,
        p=0.9,
        k=3,
        stop_sequences=["x"],
        seed=7,
        presence_penalty=1,
        frequency_penalty=-1,
        stream=True,
    )
    assert asked == ChatInput(messages=ASKED, sampling=sampling)


@pytest.mark.requirement("S26")
def test_what_asks_for_what_happens_anyway_asks_for_nothing() -> None:
    defaults: Json = {
        "k": 0,
        "logprobs": False,
        "priority": 0,
        "documents": [],
        "safety_mode": "CONTEXTUAL",
        "seed": None,
    }
    assert _chat(**defaults) == ChatInput(messages=ASKED)


@pytest.mark.requirement("B-15")
def test_what_neutral_words_cannot_say_travels_on() -> None:
    assert json.loads(_chat(documents=["d"], safety_mode="OFF").extension) == {"documents": ["d"], "safety_mode": "OFF"}


@pytest.mark.parametrize(
    ("thinking", "effort", "budget"),
    [
        ({"type": "enabled"}, "medium", None),
        ({"type": "enabled", "token_budget": 9}, "", 9),
        ({"type": "disabled"}, "", 0),
    ],
)
def test_thinking_is_a_budget_or_an_effort(thinking: Json, effort: str, budget: int | None) -> None:
    sampling = _chat(thinking=thinking).sampling
    assert (sampling.reasoning_effort, sampling.reasoning_budget) == (effort, budget)


@pytest.mark.requirement("S26")
def test_tools_and_whether_to_call_them() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}]
    asked = _chat(tools=tools, tool_choice="REQUIRED", strict_tools=True)
    (tool,) = asked.tools
    assert (tool.name, tool.description, json.loads(tool.parameters), tool.is_strict) == ("f", "d", SCHEMA, True)
    assert asked.tool_choice == ToolChoice(mode="required")
    none = _chat(tools=tools, tool_choice="NONE")
    assert none.tool_choice == ToolChoice(mode="none")
    assert isinstance(none.tools[0], Tool)
    assert not none.tools[0].is_strict


@pytest.mark.requirement("B-14")
@pytest.mark.parametrize("name", ["json_schema", "schema"])
def test_a_schema_has_two_names(name: str) -> None:
    form = _chat(response_format={"type": "json_object", name: SCHEMA}).response_format
    assert form is not None
    assert (form.kind, json.loads(form.schema)) == ("json_schema", SCHEMA)


def test_json_and_text_are_forms_without_a_schema() -> None:
    assert _chat(response_format={"type": "json_object"}).response_format == ResponseFormat(kind="json_object")
    assert _chat(response_format={"type": "text"}).response_format in (None, ResponseFormat(kind="text"))


def test_pictures_are_media() -> None:
    url = {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    assert _parts({"role": "user", "content": [{"type": "text", "text": "a"}, url, data]}) == (
        Text(text="a"),
        Media(url="https://a/b.png", detail="low"),
        Media(mime_type="image/png", data=b"A"),
    )


@pytest.mark.requirement("B-17", "T-14")
def test_a_turn_that_neutral_words_cannot_say_whole_is_kept_as_it_came() -> None:
    turn = b'{"role":"assistant", "tool_plan":"First f.","tool_calls":[%s]}' % json.dumps(CALL).encode()
    messages = chat_input(b'{"model":"m","messages":[{"role":"user","content":"Hi"},%s]}' % turn).messages
    assert messages[1].parts == (
        Reasoning(text="First f."),
        ToolCall(id="c1", name="f", arguments='{"a":1}'),
        OpaqueBlock(dialect="cohere_v2", json=turn),
    )


@pytest.mark.requirement("B-17")
def test_our_own_field_never_goes_to_cohere() -> None:
    turn = {"role": "assistant", "content": "a", "citations": [{"start": 0}], "provider_blocks": []}
    text, block = _parts(turn)
    assert text == Text(text="a")
    assert isinstance(block, OpaqueBlock)
    assert json.loads(block.json) == {name: value for name, value in turn.items() if name != "provider_blocks"}


@pytest.mark.requirement("B-17", "T-14")
def test_blocks_of_another_provider_go_back_to_it() -> None:
    carried = [{"dialect": "gemini_generate", "block": {"s": 1}}]
    turn = {"role": "assistant", "content": None, "tool_plan": None, "provider_blocks": carried}
    (block,) = _parts(turn)
    assert isinstance(block, OpaqueBlock)
    assert (block.dialect, json.loads(block.json)) == ("gemini_generate", {"s": 1})


@pytest.mark.requirement("B-7")
def test_thoughts_in_front_of_a_text_need_no_block() -> None:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]
    assert _parts({"role": "assistant", "content": content}) == (Reasoning(text="hm"), Text(text="a"))
    assert len(_parts({"role": "assistant", "content": content[::-1]})) == 3


def test_an_empty_text_is_left_out_where_something_else_is_said() -> None:
    call = ToolCall(id="c1", name="f", arguments='{"a":1}')
    for content in ("", None, [], [{"type": "text", "text": ""}]):
        assert _parts({"role": "assistant", "content": content, "tool_calls": [CALL]}) == (call,)
    assert _parts({"role": "assistant", "content": ""}) == (Text(text=""),)


def test_documents_of_a_tool_are_its_answer() -> None:
    content = [
        {"type": "text", "text": "a"},
        {"type": "document", "document": {"data": {"n": 1}}},
        {"type": "document", "document": {"id": "d", "data": "x"}},
    ]
    (result,) = _parts({"role": "tool", "tool_call_id": "c1", "content": content})
    assert isinstance(result, ToolResult)
    assert result.text.splitlines() == ["a", '{"n": 1}', '{"id":"d","data":"x"}']
    plain = _parts({"role": "tool", "tool_call_id": "c1", "content": "42"})
    assert plain == (ToolResult(tool_call_id="c1", parts=(Text(text="42"),)),)


WRONG: list[tuple[Json, str, type[InvalidRequest]]] = [
    ({"messages": []}, "messages", InvalidRequest),
    ({"messages": "Hi"}, "messages", InvalidRequest),
    ({"messages": [{"role": "user"}]}, "messages[0].content", InvalidRequest),
    ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", UnsupportedParameter),
    ({"messages": [{**HI, "name": "n"}]}, "messages[0].name", UnsupportedParameter),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content", InvalidRequest),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id", InvalidRequest),
    ({"p": 2}, "p", InvalidRequest),
    ({"k": -1}, "k", InvalidRequest),
    ({"temperature": "hot"}, "temperature", InvalidRequest),
    ({"max_tokens": 0}, "max_tokens", InvalidRequest),
    ({"tool_choice": "AUTO"}, "tool_choice", InvalidRequest),
    ({"tools": [{"type": "function", "function": {"name": "f", "x": 1}}]}, "tools[0].function.x", UnsupportedParameter),
    ({"thinking": {"type": "enabled", "token_budget": 0}}, "thinking.token_budget", InvalidRequest),
    (
        {"response_format": {"type": "json_object", "schema": SCHEMA, "json_schema": SCHEMA}},
        "response_format.schema",
        InvalidRequest,
    ),
]


@pytest.mark.requirement("L-28", "S28")
@pytest.mark.parametrize(("members", "param", "error"), WRONG, ids=[param for _, param, _ in WRONG])
def test_a_wrong_request_is_refused_by_name(members: Json, param: str, error: type[InvalidRequest]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_input(json.dumps({"model": "m", "messages": [HI], **members}).encode())
    assert (type(caught.value), caught.value.param) == (error, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"messages":' + b"[" * 200])
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        chat_input(body)
