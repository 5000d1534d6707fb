"""Requests in the words of the Responses API into neutral words, field by field."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.gateway.ingress.opaque import packed
from llm_manager.gateway.ingress.responses.compaction import compaction_input, compaction_item
from llm_manager.gateway.ingress.responses.translation import chat_input

HI = Message(role="user", parts=(Text(text="Hi"),))
PNG = base64.b64encode(b"png").decode()
FUNCTION = {"type": "function", "name": "f"}
ASSISTANT = {"type": "message", "role": "assistant"}
BLOCK = OpaqueBlock(dialect="gemini_generate", json=b'{"thoughtSignature":"x"}')


def _chat(**body: object) -> ChatInput:
    return chat_input(json.dumps({"model": "m", "input": "Hi", **body}).encode())


def _messages(*items: object) -> list[tuple[Role, tuple[Part, ...]]]:
    return [(message.role, message.parts) for message in _chat(input=items).messages]


def test_a_text_is_one_message_of_the_user() -> None:
    assert _chat() == ChatInput(messages=(HI,))


def test_instructions_come_first() -> None:
    assert _chat(instructions="Be brief.").messages == (Message(role="system", parts=(Text(text="Be brief."),)), HI)


def test_roles_need_no_type_and_the_developer_is_the_system() -> None:
    assert _messages({"role": "developer", "content": "d"}, {"role": "user", "content": "u"}) == [
        ("system", (Text(text="d"),)),
        ("user", (Text(text="u"),)),
    ]


@pytest.mark.parametrize(
    ("part", "neutral"),
    [
        ({"type": "input_text", "text": "a"}, Text(text="a")),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            Text(text="a", cache_ttl="1h"),
        ),
        ({"type": "input_text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text(text="a", cache_ttl="5m")),
        (
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
            Media(mime_type="image/png", data=b"png", detail="low"),
        ),
        ({"type": "input_image", "image_url": "https://a.example/x"}, Media(url="https://a.example/x")),
        ({"type": "input_image", "file_id": "file-1"}, Media(file_id="file-1")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
            Media(mime_type="application/pdf", data=b"png", filename="a.pdf"),
        ),
        ({"type": "input_file", "file_url": "https://a.example/a.pdf"}, Media(url="https://a.example/a.pdf")),
        (
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
            Media(mime_type="audio/wav", data=b"png"),
        ),
    ],
)
def test_every_part_of_a_message_is_said(part: object, neutral: Part) -> None:
    assert _messages({"role": "user", "content": [part]}) == [("user", (neutral,))]


def test_one_turn_of_the_assistant_is_one_message() -> None:
    text: dict[str, Any] = {"type": "output_text", "text": "a", "annotations": []}
    said: dict[str, Any] = {**ASSISTANT, "id": "msg_1", "content": [text]}
    refused = {**ASSISTANT, "content": [{"type": "refusal", "refusal": "no"}]}
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    }
    result = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "r"}]}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}
    assert _messages(thought, said, refused, call, result, {**ASSISTANT, "content": "b"}) == [
        (
            "assistant",
            (Reasoning(text="t"), Text(text="a"), Refusal(text="no"), ToolCall(id="c", name="f", arguments="{}")),
        ),
        ("tool", (ToolResult(tool_call_id="c", parts=(Text(text="r"),)),)),
        ("assistant", (Text(text="b"),)),
    ]


def test_a_result_may_hold_pictures() -> None:
    output = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://a.example/x"}]
    assert _messages({"type": "function_call_output", "call_id": "c", "output": output}) == [
        ("tool", (ToolResult(tool_call_id="c", parts=(Text(text="see"), Media(url="https://a.example/x"))),))
    ]


@pytest.mark.requirement("B-17", "T-14")
def test_packed_blocks_come_back_byte_for_byte() -> None:
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": packed([BLOCK])}
    assert _messages({**ASSISTANT, "content": "a"}, item) == [("assistant", (Text(text="a"), BLOCK))]


@pytest.mark.requirement("B-17", "T-14")
def test_encrypted_reasoning_of_a_provider_takes_its_whole_turn_along() -> None:
    thought = '{"type":"reasoning","id":"rs_abc","summary":[],"encrypted_content":"gAAA+/="}'
    call = '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}'
    chat = chat_input(b'{"model":"m","input":[%b,%b]}' % (thought.encode(), call.encode()))
    assert chat.messages[0].parts == (
        ToolCall(id="c", name="f", arguments="{}"),
        OpaqueBlock(dialect="openai_responses", json=thought.encode()),
        OpaqueBlock(dialect="openai_responses", json=call.encode()),
    )


def test_a_summary_stands_for_what_it_shortened() -> None:
    item = compaction_item("cmp_1", "They said hi.")
    ((role, parts),) = _messages(item)
    assert role == "user"
    assert isinstance(parts[0], Text)
    assert parts[0].text.endswith("They said hi.")


def test_everything_of_a_conversation_is_in_the_question_for_its_summary() -> None:
    turn = Message(
        role="assistant",
        parts=(
            *(Reasoning(text="hm"), Text(text="yes"), Refusal(text="no"), BLOCK),
            *(ToolCall(id="c", name="f", arguments="{}"), Media(url="https://a.example/x"), Media(mime_type="a/b")),
        ),
    )
    result = Message(role="tool", parts=(ToolResult(tool_call_id="c", parts=(Text(text="r"),)),))
    asked = compaction_input([HI, turn, result], instructions="Keep names.")
    task, conversation = (message.parts[0] for message in asked.messages)
    assert isinstance(task, Text)
    assert isinstance(conversation, Text)
    assert task.text.endswith("Beyond that: Keep names.")
    assert conversation.text == (
        "<conversation>\nuser: Hi\n\nassistant: [thought: hm]\nyes\nno\n[called f as c with {}]\n"
        "[a file https://a.example/x]\n[a/b]\n\ntool: [c answered: r]\n</conversation>"
    )


def test_parameters_are_said_in_neutral_words() -> None:
    chat = _chat(
        tools=[{**FUNCTION, "description": "d", "parameters": {"type": "object"}, "strict": True}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "description": "x", "strict": True}},
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
        presence_penalty=1,
        frequency_penalty=-1,
        top_logprobs=2,
        reasoning={"effort": "low", "generate_summary": "auto"},
    )
    assert chat == ChatInput(
        messages=(HI,),
        tools=(Tool(name="f", description="d", parameters=b'{"type": "object"}', is_strict=True),),
        tool_choice=ToolChoice(mode="named", name="f", parallel=False),
        response_format=ResponseFormat(
            kind="json_schema", name="n", schema=b'{"a":1,"description":"x"}', is_strict=True
        ),
        sampling=Sampling(
            max_tokens=5,
            temperature=0.5,
            top_p=0.9,
            presence_penalty=1,
            frequency_penalty=-1,
            logprobs=True,
            top_logprobs=2,
            reasoning_effort="low",
            shows_reasoning=True,
        ),
    )


@pytest.mark.parametrize(
    ("choice", "neutral"),
    [
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]},
            ToolChoice(mode="required", allowed=("f",)),
        ),
    ],
)
def test_which_tool_to_call(choice: object, neutral: ToolChoice) -> None:
    assert _chat(tools=[FUNCTION], tool_choice=choice).tool_choice == neutral


@pytest.mark.requirement("B-14")
def test_tools_of_a_provider_go_along_as_they_are() -> None:
    tools = [{"type": "web_search"}, FUNCTION, {"type": "custom", "name": "c"}]
    chat = _chat(tools=tools, include=["web_search_call.action.sources"], max_tool_calls=3)
    assert [json.loads(tool.json) for tool in chat.native_tools] == [tools[0], tools[2]]
    assert {tool.dialect for tool in chat.native_tools} == {"openai_responses"}
    assert json.loads(chat.extension) == {"include": ["web_search_call.action.sources"], "max_tool_calls": 3}


def test_what_asks_for_nothing_is_left_out() -> None:
    chat = _chat(
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        max_tool_calls=3,
        truncation="disabled",
        include=["reasoning.encrypted_content", "file_search_call.results", "message.output_text.logprobs"],
        text={"format": {"type": "text"}, "verbosity": "medium"},
        prompt_cache_key="k",
        background=False,
        reasoning={"context": "auto", "mode": "standard"},
    )
    assert chat.extension == b""
    assert chat.sampling == Sampling(logprobs=True)


def test_what_only_some_providers_know_travels_on_for_them_to_refuse() -> None:
    chat = _chat(service_tier="flex", text={"verbosity": "low"}, context_management=[{"type": "compaction"}])
    assert json.loads(chat.extension) == {
        "service_tier": "flex",
        "context_management": [{"type": "compaction"}],
        "verbosity": "low",
    }


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"truncation": "auto"}, "truncation"),
    ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
    ({"reasoning": {"new": 1}}, "reasoning.new"),
    ({"include": ["new.thing"]}, "include[0]"),
    ({"tools": [{**FUNCTION, "defer_loading": True}]}, "tools[0].defer_loading"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
    ({"text": {"new": 1}}, "text.new"),
    ({"input": [{"type": "computer_call_output"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
    ({"input": [{"role": "user", "content": "a", "new": 1}]}, "input[0].new"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": []}, "input"),
    ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    ({"input": [{"type": "compaction", "encrypted_content": "foreign"}]}, "input[0].encrypted_content"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "x"}]}]},
        "input[0].content[0].file_data",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,%"}]}]},
        "input[0].content[0].image_url",
    ),
    ({"input": ["text"]}, "input[0]"),
    ({"tools": [{"name": "f"}]}, "tools[0].type"),
    ({"tools": ["f"]}, "tools[0]"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]}}, "tool_choice.tools[0].name"),
    ({"text": {"format": {"type": "json_schema", "name": "n", "schema": []}}}, "text.format.schema"),
    ({"temperature": 3}, "temperature"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"metadata": {"a": 1}}, "metadata[...]"),
]


@pytest.mark.requirement("B-14", "P-18")
@pytest.mark.parametrize(("body", "param"), UNSUPPORTED, ids=[param for _, param in UNSUPPORTED])
def test_what_cannot_be_said_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        _chat(**body)
    assert caught.value.param == param


@pytest.mark.parametrize(("body", "param"), WRONG, ids=[f"{n} {param}" for n, (_, param) in enumerate(WRONG)])
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _chat(**body)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)
