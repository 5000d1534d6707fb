"""Conversations as every dialect writes them."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from dialects import main_dialect

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts
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
from llm_manager.providers.dialects.openai_chat.conformity import concerns
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
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


def native_messages(kind: str, messages: list[dict[str, Any]], **asked: Any) -> tuple[dict[str, Any], Policy]:
    policy = Policy()
    body = json.dumps({"messages": messages, **asked}).encode()
    call = OpenAiChat(load_facts()[kind], new_id=str).native_chat(body, model="m", is_stream=False, policy=policy)
    return json.loads(call.body), policy


SENT_BACK: dict[str, Any] = {
    "role": "assistant",
    "content": "one",
    "refusal": None,
    "annotations": [],
    "reasoning_content": "hm",
}
ASKED = {"role": "user", "content": "go"}


@pytest.mark.parametrize("kind", ["mistral", "groq"])
def test_closed_schemas_get_no_field_that_only_an_answer_had(kind: str) -> None:
    body, policy = native_messages(kind, [ASKED, SENT_BACK, {**ASKED, "name": "ann"}], safety_identifier="s")

    assert body["messages"] == [ASKED, {"role": "assistant", "content": "one"}, ASKED]
    assert (body.keys(), policy.dropped) == ({"messages", "model"}, ["safety_identifier", "name"])


def test_refusal_of_an_earlier_turn_is_text_where_it_has_no_field() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "refusal", "refusal": "no"}]
    turns = [{"role": "assistant", "content": None, "refusal": "no"}, {"role": "assistant", "content": parts}, ASKED]
    body, _ = native_messages("groq", [{**turns[1], "refusal": "never"}, *turns])

    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "no"}]
    assert [turn["content"] for turn in body["messages"]] == [
        [*texts, {"type": "text", "text": "never"}], "no", texts, "go"
    ]  # fmt: skip
    assert all("refusal" not in turn for turn in body["messages"])


CALLS: list[dict[str, Any]] = [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    {"id": "3EpsLcLQ3", "type": "function", "function": {"name": "f", "arguments": "{}"}},
]


def test_ids_of_calls_are_brought_into_mistral_s_form_and_stay_pairs() -> None:
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in CALLS]
    native, _ = native_messages("mistral", [ASKED, {"role": "assistant", "content": "", "tool_calls": CALLS}, *results])
    turns = (
        *HELLO,
        Message(role="assistant", parts=tuple(ToolCall(id=c["id"], name="f", arguments="{}") for c in CALLS)),
        Message(role="tool", parts=tuple(ToolResult(tool_call_id=c["id"], parts=(Text(text="x"),)) for c in CALLS)),
    )
    neutral = body_of("mistral", ChatInput(messages=turns))

    for body in (native, neutral):
        ids = [call["id"] for call in body["messages"][1]["tool_calls"]]
        assert ids == [turn["tool_call_id"] for turn in body["messages"][2:]]
        assert (ids[1], ids[0].isalnum(), len(ids[0])) == ("3EpsLcLQ3", True, 9)


def test_turns_stand_in_an_order_that_mistral_takes() -> None:
    result = {"role": "tool", "tool_call_id": "3EpsLcLQ3", "content": "x"}
    call = {"role": "assistant", "content": "", "tool_calls": CALLS[1:]}
    last = {"role": "assistant", "content": "On"}
    body, _ = native_messages(
        "mistral", [{"role": "developer", "content": "Be kind"}, ASKED, call, result, ASKED, last]
    )

    assert body["messages"] == [
        {"role": "system", "content": "Be kind"}, ASKED, call, result, {"role": "assistant", "content": "Ok."}, ASKED,
        {**last, "prefix": True},
    ]  # fmt: skip
    assert native_messages("mistral", [ASKED, {**last, "prefix": False}])[0]["messages"][1]["prefix"] is False


def test_documents_of_a_client_s_own_body_are_written_in_mistral_s_words() -> None:
    files = [{"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}, {"file_id": "f-1"}, {"new": "x"}]
    content = [{"type": "file", "file": file} for file in files]
    body, _ = native_messages("mistral", [{"role": "user", "content": content}])

    assert body["messages"][0]["content"] == [
        {"type": "document_url", "document_url": "data:application/pdf;base64,aGk=", "document_name": "a.pdf"},
        {"type": "file", "file_id": "f-1"},
        {"type": "file", "file": {"new": "x"}},
    ]


def test_tools_of_a_client_s_own_body_are_those_that_a_provider_knows() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools[1:]}}
    body, _ = native_messages("mistral", [ASKED], tools=tools, tool_choice=choice, response_format=None)

    empty: dict[str, Any] = {"type": "object", "properties": {}}
    assert body["tools"] == [{"type": "function", "function": {"name": "b", "parameters": empty}}]
    assert (body["tool_choice"], "response_format" in body) == ("required", False)
    with pytest.raises(UnsupportedParameter) as refused:
        native_messages("groq", [ASKED], tools=[{"type": "custom", "custom": {"name": "sql"}}])
    assert refused.value.param == "tools[0].type"


@pytest.mark.parametrize("messages", ["'go'", "[1, 'x', null]", "[{'role': 1, 'content': {}, 'tool_calls': [1, {}]}]"])
def test_conversation_of_an_odd_form_is_left_to_the_provider(messages: str) -> None:
    said = json.loads(messages.replace("'", '"'))

    assert native_messages("mistral", said)[0]["messages"] == said


@pytest.mark.parametrize(
    ("kind", "body", "is_looked_at"),
    [
        ("openai", b'{"messages":[{"role":"assistant","reasoning_content":"hm","refusal":null}]}', False),
        ("together", b'{"messages":[{"role":"user","content":"Hello"}]}', False),
        ("together", b'{"messages":[{"role":"assistant","refusal":"no"}]}', True),
        ("groq", b'{"messages":[{"role":"user","content":"Hello"}],"tool_choice":null}', True),
        ("groq", b'{"messages":[],"tools":[{"type":"custom"}]}', True),
        ("mistral", b'{"messages":[{"role":"user","content":"Hello"}]}', True),
    ],
)
def test_messages_are_looked_into_only_where_they_may_hold_what_has_another_word(
    kind: str, body: bytes, is_looked_at: bool
) -> None:
    assert concerns(load_facts()[kind], body) is is_looked_at
