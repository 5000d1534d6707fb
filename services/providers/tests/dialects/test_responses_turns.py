"""Turns of a conversation as the dialect of responses writes them: media, results of tools, turns of its own."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from openai.types.responses.response_input_param import ResponseInputParam
from pydantic import TypeAdapter

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.policy import Policy

DIALECT = OpenAiResponses(load_facts()["openai"], new_id=str)
Json = dict[str, Any]
INPUT = TypeAdapter(ResponseInputParam)
PNG = "data:image/png;base64,aGk="


def items_of(*messages: Message, policy: Policy | None = None) -> list[Json]:
    call = DIALECT.chat(ChatInput(messages=messages), model="m", is_stream=False, policy=policy or Policy())
    return json.loads(call.body)["input"]


def own(item: Json | str) -> OpaqueBlock:
    text = item if isinstance(item, str) else json.dumps(item)
    return OpaqueBlock(dialect="openai_responses", json=text.encode())


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media(url="https://example.com/a"), {"type": "input_image", "image_url": "https://example.com/a"}),
        (
            Media(url="https://example.com/a.png?x=1", detail="high"),
            {"type": "input_image", "image_url": "https://example.com/a.png?x=1", "detail": "high"},
        ),
        (Media(url=PNG), {"type": "input_image", "image_url": PNG}),
        (Media(data=b"hi", mime_type="image/png"), {"type": "input_image", "image_url": PNG}),
        (Media(file_id="file-1", detail="low"), {"type": "input_image", "file_id": "file-1", "detail": "low"}),
        (Media(file_id="file-1", mime_type="image/png"), {"type": "input_image", "file_id": "file-1"}),
        (Media(file_id="file-1", filename="a.pdf"), {"type": "input_file", "file_id": "file-1"}),
        (Media(file_id="file-1"), {"type": "input_file", "file_id": "file-1"}),
        (
            Media(url="https://example.com/a.pdf"),
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        ),
        (
            Media(url="https://example.com/a.pdf", detail="high"),
            {"type": "input_file", "file_url": "https://example.com/a.pdf", "detail": "high"},
        ),
        (
            Media(url="https://example.com/a", filename="a.pdf"),
            {"type": "input_file", "file_url": "https://example.com/a"},
        ),
        (
            Media(url="data:application/pdf;base64,aGk=", filename="a.pdf"),
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
        ),
        (
            Media(data=b"hi"),
            {
                "type": "input_file",
                "filename": "document",
                "file_data": "data:application/octet-stream;base64,aGk=",
            },
        ),
        (
            Media(data=b"hi", mime_type="audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        ),
        (
            Media(url="data:audio/x-wav;base64,aGk="),
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        ),
    ],
)
def test_media_are_pictures_files_or_audio_by_what_is_said_of_them(media: Media, part: Json) -> None:
    text: Json = {"type": "input_text", "text": "See"}

    assert items_of(Message(role="user", parts=(Text(text="See"), media))) == [
        {"role": "user", "content": [text, part]}
    ]


def test_audio_that_is_an_address_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Audio must be sent as data"):
        items_of(Message(role="user", parts=(Media(url="https://example.com/a.mp3"),)))


def test_instructions_stay_where_they_were_given() -> None:
    items = items_of(
        Message(role="system", parts=(Text(text="One"), Text(text="Two"))),
        Message(role="user", parts=(Text(text="Hi"),)),
        Message(role="system", parts=(Text(text="Three"),)),
        Message(role="user", parts=()),
    )

    parts = [{"type": "input_text", "text": "One"}, {"type": "input_text", "text": "Two"}]
    assert items == [
        {"role": "system", "content": parts},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Three"},
        {"role": "user", "content": ""},
    ]
    assert INPUT.validate_python(items)


@pytest.mark.requirement("B-17")
def test_turn_in_neutral_words_is_a_message_and_calls_in_their_order() -> None:
    items = items_of(
        Message(
            role="assistant",
            parts=(
                Reasoning(text="hidden"),
                Text(text="First"),
                ToolCall(id="c1", name="f", arguments=""),
                ToolCall(id="c2", name="g", arguments='{"cut": "of'),
                Text(text="Then"),
                Refusal(text="but no"),
                Text(text=""),
                OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking"}'),
            ),
        ),
        Message(role="assistant", parts=(Reasoning(text="nothing said"),)),
    )

    assert items == [
        {"role": "assistant", "content": "First"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": '{"cut": "of'},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Then"}, {"type": "refusal", "refusal": "but no"}],
        },
    ]


def test_arguments_that_mean_none_are_an_empty_object() -> None:
    calls = (ToolCall(id="c1", name="f", arguments="null"), ToolCall(id="c2", name="f", arguments=" "))
    items = items_of(Message(role="assistant", parts=calls))

    assert [item["arguments"] for item in items] == ["{}", "{}"]
    assert INPUT.validate_python(items)


@pytest.mark.requirement("B-14")
def test_name_of_who_speaks_is_told() -> None:
    turns = [Message(role="user", parts=(Text(text="Hi"),), name=name) for name in ("Ada", "Bob")]
    policy = Policy()

    assert items_of(*turns, policy=policy) == [{"role": "user", "content": "Hi"}] * 2
    assert policy.warnings == ["left out name"]


def test_pictures_in_an_assistant_s_turn_are_refused_or_told() -> None:
    turn = Message(role="assistant", parts=(Text(text="Here"), Media(data=b"hi", mime_type="image/png")))
    with pytest.raises(UnsupportedParameter) as raised:
        items_of(turn)
    policy = Policy(adapts=True)

    assert raised.value.param == "messages"
    assert items_of(turn, policy=policy) == [{"role": "assistant", "content": "Here"}]
    assert policy.warnings == ["left out messages"]


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult(tool_call_id="c1", parts=(Text(text="rain"),)), "rain"),
        (ToolResult(tool_call_id="c1"), ""),
        (ToolResult(tool_call_id="c1", parts=(Text(text='no "Bonn"'),), is_error=True), '{"error":"no \\"Bonn\\""}'),
        (
            ToolResult(tool_call_id="c1", parts=(Text(text="cut"), Media(url=PNG)), is_error=True),
            [{"type": "input_text", "text": '{"error":"cut"}'}, {"type": "input_image", "image_url": PNG}],
        ),
        (
            ToolResult(tool_call_id="c1", parts=(Text(text="see"), Media(data=b"hi", mime_type="image/png"))),
            [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}],
        ),
        (
            ToolResult(tool_call_id="c1", parts=(Media(file_id="f", filename="a.pdf"),)),
            [{"type": "input_file", "file_id": "f"}],
        ),
    ],
)
def test_result_of_a_tool_is_text_or_text_and_media(result: ToolResult, output: Any) -> None:
    items = items_of(Message(role="user", parts=(Text(text="And now?"), result)))

    assert items == [
        {"type": "function_call_output", "call_id": "c1", "output": output},
        {"role": "user", "content": "And now?"},
    ]


def test_audio_in_the_result_of_a_tool_is_refused() -> None:
    result = ToolResult(tool_call_id="c1", parts=(Media(data=b"hi", mime_type="audio/wav"),))
    with pytest.raises(InvalidRequest, match="no audio"):
        items_of(Message(role="tool", parts=(result,)))


@pytest.mark.requirement("B-17", "T-14")
def test_own_turn_goes_back_as_it_was_and_its_custom_calls_are_answered_as_such() -> None:
    reasoning = '{"id":"rs_1","type":"reasoning",  "summary":[],"encrypted_content":"gAAA=="}'
    custom = '{"id":"ctc_1","type":"custom_tool_call","call_id":"c1","name":"sh","input":"ls"}'
    search = '{"id":"ws_1","type":"web_search_call","status":"completed","n":12345678901234567890}'
    call = DIALECT.chat(
        ChatInput(
            messages=(
                Message(role="assistant", parts=(Text(text="seen"), own(reasoning), own(search), own(custom))),
                Message(role="tool", parts=(ToolResult(tool_call_id="c1", parts=(Text(text="a.txt"),)),)),
                Message(role="tool", parts=(ToolResult(tool_call_id="c2", parts=(Text(text="b.txt"),)),)),
            )
        ),
        model="m",
        is_stream=False,
        policy=Policy(),
    )

    for text in (reasoning, custom, search):
        assert text.encode() in call.body
    items = json.loads(call.body)["input"]
    assert [item["type"] for item in items] == [
        "reasoning",
        "web_search_call",
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call_output",
    ]
    assert items[3] == {"type": "custom_tool_call_output", "call_id": "c1", "output": "a.txt"}


@pytest.mark.requirement("B-17")
def test_reasoning_that_only_refers_to_what_was_stored_stays_out_and_takes_ids_with_it() -> None:
    call: Json = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    items = items_of(
        Message(
            role="assistant", parts=(own({"id": "rs_1", "type": "reasoning", "summary": [{"text": "x"}]}), own(call))
        ),
        Message(role="assistant", parts=(own({"id": "rs_2", "type": "reasoning", "content": [{"text": "open"}]}),)),
    )

    assert items == [
        {name: value for name, value in call.items() if name != "id"},
        {"id": "rs_2", "type": "reasoning", "content": [{"text": "open"}]},
    ]
