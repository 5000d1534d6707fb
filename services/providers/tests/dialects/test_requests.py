"""Conversations as every dialect writes them."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from dialects import main_dialect

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.policy import Policy

HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
WEATHER = Tool(name="weather", description="Tells it", parameters=b'{"type":"object"}', is_strict=True)


def body_of(kind: str, chat: ChatInput, *, stream: bool = False, adapts: bool = False) -> dict[str, Any]:
    call = main_dialect(kind).chat(chat, model="m", is_stream=stream, policy=Policy(adapts=adapts))
    return json.loads(call.body)


TURNS = (
    Message(role="system", parts=(Text(text="Be "), Text(text="kind"))),
    Message(
        role="user",
        parts=(Text(text="See"), Media(mime_type="image/png", data=b"\x89P", detail="low")),
        name="ann",
    ),
    Message(
        role="assistant",
        parts=(
            Reasoning(text="hm"),
            ToolCall(id="c1", name="weather", arguments='{"a":1}'),
            ToolCall(id="c2", name="weather", arguments='{"a"'),
        ),
    ),
    Message(
        role="tool",
        parts=(
            ToolResult(tool_call_id="c1", parts=(Text(text="sun"),)),
            ToolResult(tool_call_id="c2", parts=(Text(text="?"),)),
        ),
    ),
    Message(role="assistant", parts=(Refusal(text="no"),)),
)


def test_conversation_is_written_in_openai_s_form() -> None:
    body = body_of(
        "openai",
        ChatInput(
            messages=TURNS,
            tools=(WEATHER, Tool(name="bare")),
            tool_choice=ToolChoice(mode="named", name="weather", parallel=False),
            response_format=ResponseFormat(kind="json_schema", name="s", schema=b'{"type":"object"}', is_strict=True),
        ),
        stream=True,
    )

    assert body["messages"] == [
        {"role": "system", "content": "Be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVA=", "detail": "low"}},
            ],
            "name": "ann",
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": '{"a"'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {"role": "tool", "tool_call_id": "c2", "content": "?"},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells it",
                "parameters": {"type": "object"},
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "bare"}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
    }
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_conversation_is_written_in_ollama_s_form() -> None:
    body = body_of(
        "ollama",
        ChatInput(
            messages=TURNS,
            tools=(WEATHER, Tool(name="bare")),
            response_format=ResponseFormat(kind="json_schema", schema=b'{"type":"object"}'),
        ),
        stream=True,
        # it has no word for who speaks
        adapts=True,
    )

    assert body["messages"] == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "See", "images": ["iVA="]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "function": {"name": "weather", "arguments": {"a": 1}}},
                {"id": "c2", "function": {"name": "weather", "arguments": {"text": '{"a"'}}},
            ],
            "thinking": "hm",
        },
        {"role": "tool", "content": "sun", "tool_name": "weather", "tool_call_id": "c1"},
        {"role": "tool", "content": "?", "tool_name": "weather", "tool_call_id": "c2"},
        {"role": "assistant", "content": "no"},
    ]
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert (body["format"], body["stream"]) == ({"type": "object"}, True)
    assert (
        body_of("ollama", ChatInput(messages=HELLO, response_format=ResponseFormat(kind="json_object")))["format"]
        == "json"
    )


def test_tools_that_must_not_be_called_are_not_shown_to_ollama() -> None:
    body = body_of("ollama", ChatInput(messages=HELLO, tools=(WEATHER,), tool_choice=ToolChoice(mode="none")))

    assert "tools" not in body
    with pytest.raises(UnsupportedParameter) as raised:
        body_of("ollama", ChatInput(messages=HELLO, tools=(WEATHER,), tool_choice=ToolChoice(mode="required")))
    assert raised.value.param == "tool_choice"


def test_picture_by_address_is_refused_for_ollama_and_a_data_url_is_not() -> None:
    def chat(url: str) -> ChatInput:
        return ChatInput(messages=(Message(role="user", parts=(Media(url=url),)),))

    assert body_of("ollama", chat("data:image/png;base64,AAAA"))["messages"][0]["images"] == ["AAAA"]
    with pytest.raises(UnsupportedParameter):
        body_of("ollama", chat("https://example.com/a.png"))


def test_other_media_are_written_in_openai_s_form() -> None:
    parts = (
        Media(mime_type="audio/mpeg", data=b"a"),
        Media(mime_type="application/pdf", data=b"p", filename="a.pdf"),
        Media(file_id="file-1"),
        Media(url="https://example.com/a.png"),
        OpaqueBlock(dialect="openai_chat", json=b'{"type":"mine"}'),
        OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"theirs"}'),
    )
    body = body_of("openai", ChatInput(messages=(Message(role="user", parts=parts),)))

    assert body["messages"][0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "YQ==", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,cA=="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "mine"},
    ]
    with pytest.raises(InvalidRequest):
        body_of("openai", ChatInput(messages=(Message(role="user", parts=(Media(mime_type="audio/wav", url="x"),)),)))


def test_reasoning_of_earlier_turns_goes_back_only_where_it_is_wanted() -> None:
    messages = (*HELLO, Message(role="assistant", parts=(Reasoning(text="hm"), Text(text="Hi"))))

    assert body_of("deepseek", ChatInput(messages=messages))["messages"][1]["reasoning_content"] == "hm"
    assert body_of("openrouter", ChatInput(messages=messages))["messages"][1]["reasoning"] == "hm"
    assert body_of("openai", ChatInput(messages=messages))["messages"][1] == {"role": "assistant", "content": "Hi"}
