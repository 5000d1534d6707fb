"""OpenAI's chat request into neutral words."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    Refusal,
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.gateway.ingress.openai.chat_request import ChatHead
from llm_manager.gateway.ingress.openai.translation import chat_input
from llm_manager.gateway.ingress.prompt import prompt_characters

USER = {"role": "user", "content": "Hi"}
PIXEL = base64.b64encode(b"\x89PNG").decode()


def _body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER], **members}).encode()


def _tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": function}


def test_every_kind_of_message_is_translated() -> None:
    pdf = {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a.pdf"}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
        {"type": "file", "file": pdf},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    body = _body(
        messages=[
            {"role": "system", "content": "Be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind"}]},
            {"role": "user", "name": "ann", "content": parts},
            {"role": "assistant", "content": None, "reasoning_content": "Look it up", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "a cat"}]},
            {"role": "assistant", "content": "A cat", "refusal": "not more"},
        ]
    )
    media = (
        Text(text="What is this?"),
        Media(mime_type="image/png", data=b"\x89PNG", detail="low"),
        Media(url="https://example.org/a.png"),
        Media(mime_type="audio/wav", data=b"\x89PNG"),
        Media(mime_type="application/pdf", data=b"\x89PNG", filename="a.pdf"),
        Media(file_id="file-1"),
    )
    asked = (Reasoning(text="Look it up"), ToolCall(id="c1", name="look", arguments='{"a":1}'))
    assert chat_input(body).messages == (
        Message(role="system", parts=(Text(text="Be brief"),)),
        Message(role="system", parts=(Text(text="Be kind"),)),
        Message(role="user", name="ann", parts=media),
        Message(role="assistant", parts=asked),
        Message(role="tool", parts=(ToolResult(tool_call_id="c1", parts=(Text(text="a cat"),)),)),
        Message(role="assistant", parts=(Text(text="A cat"), Refusal(text="not more"))),
    )


def test_every_parameter_is_translated() -> None:
    schema = {"name": "s", "schema": {"type": "object"}, "strict": True}
    body = _body(
        tools=[_tool(name="look", description="d", parameters={"type": "object"}, strict=True), _tool(name="bare")],
        tool_choice=_tool(name="look"),
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": schema},
        max_completion_tokens=10, temperature=0, top_p=1, top_k=4, presence_penalty=-1, frequency_penalty=0.5,
        seed=-5, stop="END", n=2, logprobs=True, top_logprobs=3, reasoning_effort="low",
        a_future_field={"deep": [1]}, user="u", stream=True, metadata=None,
    )  # fmt: skip
    assert chat_input(body) == ChatInput(
        messages=(Message(role="user", parts=(Text(text="Hi"),)),),
        tools=(
            Tool(name="look", description="d", parameters=b'{"type": "object"}', is_strict=True),
            Tool(name="bare"),
        ),
        tool_choice=ToolChoice(mode="named", name="look", parallel=False),
        response_format=ResponseFormat(kind="json_schema", name="s", schema=b'{"type": "object"}', is_strict=True),
        sampling=Sampling(
            max_tokens=10, temperature=0, top_p=1, top_k=4, presence_penalty=-1, frequency_penalty=0.5,
            seed=-5, stop=("END",), n=2, logprobs=True, top_logprobs=3, reasoning_effort="low",
        ),
        extension=b'{"a_future_field":{"deep": [1]},"user":"u"}',
    )  # fmt: skip


def test_absent_stays_absent() -> None:
    assert chat_input(_body()) == ChatInput(messages=(Message(role="user", parts=(Text(text="Hi"),)),))


def test_our_own_answer_can_be_sent_back_whole() -> None:
    answer: dict[str, Any] = {
        "role": "assistant", "content": "Hello", "refusal": None, "annotations": [], "audio": None,
        "function_call": None, "tool_calls": None, "reasoning_content": None, "parsed": {"a": 1},
    }  # fmt: skip
    assert chat_input(_body(messages=[answer])).messages[0].parts == (Text(text="Hello"),)


def test_values_that_ask_for_what_happens_anyway_are_dropped() -> None:
    asked = _body(store=False, modalities=["text"], service_tier="auto", logit_bias=None, stream_options={})
    assert chat_input(asked).extension == b""
    assert json.loads(chat_input(_body(store=True, modalities=["audio"])).extension) == {
        "store": True,
        "modalities": ["audio"],
    }


def test_the_description_of_a_schema_moves_into_the_schema() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "s", "description": "why", "schema": {"type": "object"}}}
    translated = chat_input(_body(response_format=form)).response_format
    assert translated is not None
    assert json.loads(translated.schema) == {"type": "object", "description": "why"}


UNSAYABLE: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "oracle", "content": "x", "name": "f"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": "x", "weight": 0}]}, "messages[0].weight"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
    ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.type"),
    ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
]
LOOK = _tool(name="look")
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "user", "content": "x", "cache_control": {}}]}, "messages[0].cache_control.type"),
    ({"messages": [{"role": "function", "content": "x", "name": "f"}]}, "messages[0].name"),
    ({"tools": [LOOK], "functions": [{"name": "f"}]}, "functions"),
    ({"tool_choice": "auto", "function_call": "auto"}, "function_call"),
    (
        {
            "tools": [LOOK],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [_tool(name="x")]}},
        },
        "tool_choice.allowed_tools.tools[0].function.name",
    ),
    ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "reasoning.effort"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 9, "token_budget": 8}}, "thinking.token_budget"),
    ({"thinking": {"type": "enabled", "budget_tokens": 9}, "reasoning": {"max_tokens": 8}}, "reasoning.max_tokens"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"n": 0}, "n"),
    ({"seed": 2**63}, "seed"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
    ({"stop": [1]}, "stop[0]"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}},
        "response_format.json_schema.schema",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "!", "format": "wav"}}],
                }
            ]
        },
        "messages[0].content[0].input_audio.data",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].file"),
]


@pytest.mark.requirement("B-14")
@pytest.mark.parametrize(("members", "param"), UNSAYABLE)
def test_what_neutral_words_cannot_say_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        chat_input(_body(**members))
    assert caught.value.param == param


@pytest.mark.parametrize(("members", "param"), WRONG)
def test_a_wrong_value_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_input(_body(**members))
    assert caught.value.param == param


@pytest.mark.requirement("B-17", "T-14")
def test_the_blocks_of_a_provider_come_back_byte_for_byte() -> None:
    block = b'{"type":"thinking", "thinking":"","signature":"E\\u00e9+/=="}'
    said = b'{"role":"assistant","content":"A cat","reasoning_content":"hm","provider_blocks":['
    said += b'{"dialect":"anthropic_messages","block":' + block + b"}]}"
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"},' + said + b"]}"
    assert chat_input(body).messages[1].parts == (
        Reasoning(text="hm"),
        Text(text="A cat"),
        OpaqueBlock(dialect="anthropic_messages", json=block),
    )


def test_cache_hints_are_read_from_parts_messages_and_tools() -> None:
    kept, long = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    url = {"url": "https://example.org/a.png"}
    body = _body(
        messages=[
            {"role": "system", "content": "Be brief", "cache_control": long},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a", "cache_control": kept},
                    {"type": "image_url", "image_url": url, "cache_control": long},
                    {"type": "text", "text": "b"},
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x", "cache_control": kept}]},
        ],
        tools=[{**LOOK, "cache_control": long}, _tool(name="see", cache_control=kept)],
    )
    asked = chat_input(body)
    assert [message.parts for message in asked.messages] == [
        (Text(text="Be brief", cache_ttl="1h"),),
        (Text(text="a", cache_ttl="5m"), Media(url="https://example.org/a.png", cache_ttl="1h"), Text(text="b")),
        (ToolResult(tool_call_id="c", parts=(Text(text="x"),), cache_ttl="5m"),),
    ]
    assert [tool.cache_ttl for tool in asked.tools] == ["1h", "5m"]


def test_a_tool_may_answer_with_a_picture() -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    answer = {"role": "tool", "tool_call_id": "c", "name": "see", "content": [{"type": "text", "text": "x"}, picture]}
    (message,) = chat_input(_body(messages=[answer])).messages
    media = (Media(mime_type="image/png", data=b"\x89PNG"),)
    assert message.parts == (ToolResult(tool_call_id="c", parts=(Text(text="x"), *media), name="see"),)


@pytest.mark.parametrize(
    ("members", "sampling"),
    [
        ({"reasoning": {"effort": "high", "exclude": True}}, Sampling(reasoning_effort="high", shows_reasoning=False)),
        ({"reasoning": {"max_tokens": 900}}, Sampling(reasoning_budget=900)),
        ({"reasoning": {"enabled": True}}, Sampling(reasoning_effort="medium")),
        ({"reasoning": {"enabled": False}}, Sampling(reasoning_effort="none")),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}}, Sampling(reasoning_effort="low")),
        ({"include_reasoning": False}, Sampling(shows_reasoning=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Sampling(reasoning_budget=1024)),
        ({"thinking": {"type": "enabled", "token_budget": 500}}, Sampling(reasoning_budget=500)),
        ({"thinking": {"type": "disabled"}}, Sampling(reasoning_budget=0)),
    ],
)
def test_reasoning_is_asked_in_the_words_of_three_dialects(members: dict[str, Any], sampling: Sampling) -> None:
    asked = chat_input(_body(**members))
    assert (asked.sampling, asked.extension) == (sampling, b"")


def test_thinking_that_is_up_to_the_model_goes_to_a_provider_that_knows_it() -> None:
    asked = chat_input(_body(thinking={"type": "adaptive", "display": "summarized"}))
    assert asked.sampling == Sampling(shows_reasoning=True)
    assert json.loads(asked.extension) == {"thinking": {"type": "adaptive", "display": "summarized"}}


def test_some_of_the_tools_may_be_allowed() -> None:
    allowed = {"mode": "required", "tools": [LOOK]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    asked = chat_input(_body(tools=[LOOK, _tool(name="see")], tool_choice=choice, parallel_tool_calls=True))
    assert asked.tool_choice == ToolChoice(mode="required", parallel=True, allowed=("look",))
    assert asked.tools == (Tool(name="look"), Tool(name="see"))


def test_functions_of_the_time_before_tools_are_tools() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    asked = chat_input(
        _body(
            messages=[
                USER,
                called,
                {"role": "function", "name": "look", "content": "a cat"},
                called,
                {"role": "function", "name": "look", "content": None},
            ],
            functions=[{"name": "look", "parameters": {"type": "object"}}],
            function_call={"name": "look"},
        )
    )
    assert [message.parts for message in asked.messages[1:]] == [
        (ToolCall(id="call_1", name="look", arguments="{}"),),
        (ToolResult(tool_call_id="call_1", parts=(Text(text="a cat"),), name="look"),),
        (ToolCall(id="call_2", name="look", arguments="{}"),),
        (ToolResult(tool_call_id="call_2", name="look"),),
    ]
    assert asked.tools == (Tool(name="look", parameters=b'{"type": "object"}'),)
    assert (asked.tool_choice, asked.extension) == (ToolChoice(mode="named", name="look"), b"")


def test_who_sends_functions_wants_function_calls_back() -> None:
    assert msgspec.json.decode(_body(functions=[{"name": "f"}]), type=ChatHead).calls_functions
    assert not msgspec.json.decode(_body(functions=None), type=ChatHead).calls_functions
    assert not msgspec.json.decode(_body(tools=[LOOK]), type=ChatHead).calls_functions


def test_the_prompt_is_counted_by_its_texts() -> None:
    parts = [
        {"type": "text", "text": "four"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert prompt_characters(_body(messages=[USER, {"role": "user", "content": parts}])) == 6
    assert prompt_characters(b'{"input":["ab","cde"]}') == 5
    assert prompt_characters(b"not json") == 8
