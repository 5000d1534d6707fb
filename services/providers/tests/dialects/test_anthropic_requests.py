"""Requests as Anthropic's dialect writes them: whole bodies."""

from __future__ import annotations

import base64
import json
from typing import Any  # JSON bodies

import pytest
from anthropic.types import MessageParam
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
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
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import (
    CountsTokens,
    Dialect,
    Embeds,
    ListsModels,
    NativeChats,
    NativeCountsTokens,
    Reranks,
    UpstreamCall,
)

FACTS = load_facts()["anthropic"]
DIALECT = AnthropicMessages(FACTS, new_id=str)
Json = dict[str, Any]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
SAID: Json = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
WEATHER = Tool(name="weather", description="Tells it", parameters=b'{"type":"object","$defs":{}}', is_strict=True)
OLD = "claude-sonnet-4-5"
_CHAT: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
_COUNT: TypeAdapter[Any] = TypeAdapter(MessageCountTokensParams)
_TURN: TypeAdapter[Any] = TypeAdapter(MessageParam)


def body_of(chat: ChatInput, *, model: str = OLD, policy: Policy | None = None) -> Json:
    body: Json = json.loads(DIALECT.chat(chat, model=model, is_stream=False, policy=policy or Policy()).body)
    _CHAT.validate_python(body)
    return body


SEARCH = b'{"type":"web_search_20250305","name":"web_search"}'
WHOLE = ChatInput(
    messages=(
        Message(role="system", parts=(Text(text="Be "), Text(text="kind", cache_ttl="1h"))),
        Message(
            role="user", parts=(Text(text="See"), Media(mime_type="image/png", data=b"\x89P", detail="high"))
        ),
        Message(
            role="assistant",
            parts=(
                Reasoning(text="hm"),
                Text(text="I look."),
                ToolCall(id="c1", name="weather", arguments='{"a":1.50}'),
                ToolCall(id="functions.clock:2", name="clock", arguments='{"a"', cache_ttl="5m"),
                ToolCall(id="c3", name="clock", arguments=""),
            ),
        ),
        Message(role="tool", parts=(ToolResult(tool_call_id="functions.clock:2", parts=(Text(text="noon"),)),)),
        Message(role="user", parts=(Text(text="Quick"),)),
        Message(
            role="tool",
            parts=(ToolResult(tool_call_id="c1", parts=(Text(text="broke"),), is_error=True, cache_ttl="5m"),),
        ),
        Message(
            role="tool",
            parts=(
                ToolResult(tool_call_id="c3", parts=(Text(text="seen"), Media(mime_type="image/gif", data=b"G"))),
                ToolResult(tool_call_id="c4"),
            ),
        ),
        Message(role="assistant", parts=(Refusal(text="no"),)),
        Message(role="assistant", parts=(Text(text=""),)),
        Message(role="system", parts=(Text(text="Hurry"),)),
        Message(role="user", parts=(Text(text=""), Text(text="Go on", cache_ttl="5m"))),
    ),
    tools=(WEATHER, Tool(name="clock", cache_ttl="5m"), Tool(name="bare", parameters=b'{"properties":{}}')),
    native_tools=(OpaqueBlock(dialect="anthropic_messages", json=SEARCH),),
    tool_choice=ToolChoice(mode="auto", parallel=False),
    response_format=ResponseFormat(kind="json_schema", name="s", schema=b'{"type":["object","null"]}'),
    sampling=Sampling(
        max_tokens=9000, top_p=0.95, stop=("x", "y"), n=1, reasoning_budget=2048,
        shows_reasoning=True,
    ),
    extension=b'{"user":"u-1","service_tier":"default","container":"c","store":false}',
)  # fmt: skip
WRITTEN: Json = {
    "model": OLD,
    "max_tokens": 9000,
    "system": [
        {"type": "text", "text": "Be "},
        {"type": "text", "text": "kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "Hurry"},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVA="}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"a": 1.5}},
                {
                    "type": "tool_use",
                    "id": "functions_clock_2",
                    "name": "clock",
                    "input": {"text": '{"a"'},
                    "cache_control": {"type": "ephemeral", "ttl": "5m"},
                },
                {"type": "tool_use", "id": "c3", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_clock_2", "content": "noon"},
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": "broke",
                    "is_error": True,
                    "cache_control": {"type": "ephemeral", "ttl": "5m"},
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "c3",
                    "content": [
                        {"type": "text", "text": "seen"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "Rw=="}},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "c4"},
                {"type": "text", "text": "Quick"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "no"}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Go on", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        },
    ],
    "top_p": 0.95,
    "stop_sequences": ["x", "y"],
    "tools": [
        {
            "name": "weather",
            "description": "Tells it",
            "input_schema": {"type": "object", "$defs": {}},
            "strict": True,
        },
        {
            "name": "clock",
            "input_schema": {"type": "object", "properties": {}},
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
        },
        {"name": "bare", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": ["object", "null"]}}},
    "metadata": {"user_id": "u-1"},
    "service_tier": "standard_only",
    "container": "c",
}


def test_dialect_does_what_its_facts_say_and_no_more() -> None:
    for protocol in (Dialect, NativeChats, CountsTokens, NativeCountsTokens, ListsModels):
        assert isinstance(DIALECT, protocol)
    assert not isinstance(DIALECT, Embeds | Reranks)
    assert FACTS.operations == ("chat", "count_tokens", "models")
    assert DIALECT.models() == UpstreamCall("GET", "/v1/models?limit=1000")
    assert (FACTS.auth.header, FACTS.auth.scheme) == ("x-api-key", "")
    assert FACTS.headers.send == {"anthropic-version": "2023-06-01"}


@pytest.mark.requirement("S18")
def test_whole_request_is_written_in_anthropic_s_words() -> None:
    assert body_of(WHOLE) == WRITTEN


def test_stream_is_asked_for_at_the_same_address() -> None:
    chat = ChatInput(messages=HELLO)
    whole = DIALECT.chat(chat, model=OLD, is_stream=False, policy=Policy())
    streamed = DIALECT.chat(chat, model=OLD, is_stream=True, policy=Policy())

    assert (whole.method, whole.path, streamed.path) == ("POST", "/v1/messages", "/v1/messages")
    assert json.loads(whole.body) == {"model": OLD, "max_tokens": 8192, "messages": [SAID]}
    assert json.loads(streamed.body) == {"model": OLD, "max_tokens": 8192, "messages": [SAID], "stream": True}
    assert whole.prompt() == 5


def test_count_asks_for_what_fills_the_prompt_alone() -> None:
    call = DIALECT.count_tokens(WHOLE, model=OLD, policy=Policy())

    body = json.loads(call.body)
    names = ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")
    assert call.path == "/v1/messages/count_tokens"
    assert body == {name: WRITTEN[name] for name in names}
    _COUNT.validate_python(body)


@pytest.mark.parametrize(
    ("extension", "param"),
    [
        (b'{"logit_bias":{"1":1}}', "logit_bias"),
        (b'{"store":true}', "store"),
        (b'{"verbosity":"low"}', "verbosity"),
        (b'{"min_p":0.1}', "min_p"),
        (b'{"service_tier":"flex"}', "service_tier"),
        (b'{"service_tier":7}', "service_tier"),
    ],
)
def test_extension_that_anthropic_does_not_know_is_refused(extension: bytes, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        body_of(ChatInput(messages=HELLO, extension=extension))
    assert raised.value.param == param

    policy = Policy(adapts=True)
    body = body_of(ChatInput(messages=HELLO, extension=extension), policy=policy)
    assert body.get(param) == ("auto" if param == "service_tier" else None)
    assert len(policy.warnings) == 1


@pytest.mark.parametrize(
    ("choice", "expected", "shown"),
    [
        (ToolChoice(), {"type": "auto"}, ["weather", "clock"]),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}, ["weather", "clock"]),
        (
            ToolChoice(mode="required", parallel=True),
            {"type": "any", "disable_parallel_tool_use": False},
            ["weather", "clock"],
        ),
        (ToolChoice(mode="auto", allowed=("clock",)), {"type": "auto"}, ["clock"]),
        (ToolChoice(mode="required", allowed=("weather",)), {"type": "any"}, ["weather"]),
    ],
)
def test_choice_of_a_tool_is_kept(choice: ToolChoice, expected: Json, shown: list[str]) -> None:
    body = body_of(ChatInput(messages=HELLO, tools=(WEATHER, Tool(name="clock")), tool_choice=choice))

    assert body["tool_choice"] == expected
    assert [tool["name"] for tool in body["tools"]] == shown


def test_choice_without_tools_goes_only_where_it_asks_for_one() -> None:
    assert "tool_choice" not in body_of(ChatInput(messages=HELLO, tool_choice=ToolChoice(parallel=True)))
    assert body_of(ChatInput(messages=HELLO, tool_choice=ToolChoice(mode="required")))["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": ResponseFormat(kind="json_object")}, "response_format"),
        ({"response_format": ResponseFormat(kind="json_schema")}, "response_format"),
        ({"native_tools": (OpaqueBlock(dialect="gemini_generate", json=b'{"googleSearch":{}}'),)}, "tools"),
    ],
)
def test_form_or_tool_that_anthropic_lacks_is_refused(fields: Json, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        body_of(ChatInput(messages=HELLO, **fields))
    assert raised.value.param == param
    plain = body_of(ChatInput(messages=HELLO))
    assert body_of(ChatInput(messages=HELLO, **fields), policy=Policy(adapts=True)) == plain


def test_text_as_a_form_says_nothing() -> None:
    plain = body_of(ChatInput(messages=HELLO))
    assert body_of(ChatInput(messages=HELLO, response_format=ResponseFormat(kind="text"))) == plain


PDF = base64.b64encode(b"%PDF").decode()


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (
            Media(url="https://x.example/a.png"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            Media(url="data:image/webp;base64,QUJD"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "QUJD"}},
        ),
        (
            Media(mime_type="image/JPG", data=b"ABC"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"}},
        ),
        (
            Media(mime_type="application/pdf", url="https://x.example/a"),
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a"}},
        ),
        (
            Media(mime_type="application/pdf", data=b"%PDF", filename="a.pdf", cache_ttl="5m"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
                "cache_control": {"type": "ephemeral", "ttl": "5m"},
            },
        ),
        (
            Media(mime_type="text/markdown", data="é".encode()),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        ),
        (
            Media(mime_type="image/*", file_id="file_1"),
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (Media(file_id="file_1"), {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    ],
)
def test_picture_or_document_becomes_a_block(media: Media, block: Json) -> None:
    body = body_of(ChatInput(messages=(Message(role="user", parts=(media,)),)))

    assert body["messages"] == [{"role": "user", "content": [block]}]
    _TURN.validate_python(body["messages"][0])


@pytest.mark.parametrize("mime_type", ["audio/wav", "application/zip", ""])
def test_medium_that_anthropic_cannot_take_is_refused_whatever_the_policy(mime_type: str) -> None:
    message = Message(role="user", parts=(Media(mime_type=mime_type, data=b"x"),))
    with pytest.raises(UnsupportedParameter, match="send pictures, PDF or text") as raised:
        body_of(ChatInput(messages=(message,)), policy=Policy(adapts=True))
    assert raised.value.param == "messages"


def test_text_document_that_is_no_text_is_refused() -> None:
    message = Message(role="user", parts=(Media(mime_type="text/plain", data=b"\xff"),))
    with pytest.raises(InvalidRequest, match="UTF-8"):
        body_of(ChatInput(messages=(message,)))


def test_turn_that_says_nothing_is_left_to_the_provider() -> None:
    body = body_of(ChatInput(messages=(Message(role="user", parts=(Text(text=""),)),)))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": ""}]}]


def test_native_body_of_the_right_model_passes_byte_for_byte() -> None:
    body = b'{ "model":"m",  "max_tokens":5, "future":[1.0,1e400], "messages":[{"role":"user","content":"abc"}] }'
    call = DIALECT.native_chat(body, model="m", is_stream=False, policy=Policy())
    count = DIALECT.native_count_tokens(body, model="m", policy=Policy())

    assert (call.method, call.path, call.body, call.prompt()) == ("POST", "/v1/messages", body, 3)
    assert (count.path, count.body) == ("/v1/messages/count_tokens", body)


def test_native_body_changes_in_model_and_stream_alone() -> None:
    body = b'{"model":"nice","stream":true,"thinking":{"type": "enabled"},"future":1e400}'
    streamed = DIALECT.native_chat(body, model="m", is_stream=True, policy=Policy()).body
    whole = DIALECT.native_chat(body, model="m", is_stream=False, policy=Policy()).body
    count = DIALECT.native_count_tokens(b'{"messages":[ ]}', model="m", policy=Policy()).body

    assert streamed == body.replace(b'"nice"', b'"m"')
    assert whole == streamed.replace(b"true", b"false")
    assert count == b'{"messages":[ ],"model":"m"}'
    with pytest.raises(InvalidRequest):
        DIALECT.native_chat(b"[]", model="m", is_stream=True, policy=Policy())
