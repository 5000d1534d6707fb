"""Requests as the dialect of responses writes them from neutral words: whole bodies and paths."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.policy import Policy

FACTS = load_facts()["openai"]
DIALECT = OpenAiResponses(FACTS, new_id=str)
Json = dict[str, Any]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
WEATHER = Tool(name="weather", description="Tells it", parameters=b'{"type":"object","$defs":{}}', is_strict=True)
FUNCTION: Json = {
    "type": "function",
    "name": "weather",
    "description": "Tells it",
    "parameters": {"type": "object", "$defs": {}},
    "strict": True,
}
# What every neutral request says: nothing is stored, and reasoning can go back in the next turn.
ALWAYS: Json = {"store": False, "include": ["reasoning.encrypted_content"]}
PLAIN = TypeAdapter(ResponseCreateParamsNonStreaming)
STREAM = TypeAdapter(ResponseCreateParamsStreaming)


def body_of(chat: ChatInput, *, policy: Policy | None = None, is_stream: bool = False) -> Json:
    call = DIALECT.chat(chat, model="o3-pro", is_stream=is_stream, policy=policy or Policy())
    return json.loads(call.body)


def options_of(policy: Policy | None = None, **asked: Any) -> Json:
    """Return what a request says beside what every request says."""
    body = body_of(ChatInput(messages=HELLO, **asked), policy=policy)
    assert body.pop("model") == "o3-pro"
    assert body.pop("input") == [{"role": "user", "content": "Hello"}]
    assert ALWAYS.items() <= body.items()
    return {name: value for name, value in body.items() if name not in ALWAYS}


# The request of the test below, every word of it.
WHOLE: Json = {
    "model": "o3-pro",
    "input": [
        {"role": "system", "content": "Be kind"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            ],
        },
        {"role": "assistant", "content": "Wait"},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"at":"Bonn"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ],
    "tools": [FUNCTION, {"type": "web_search"}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "weather"}],
    },
    "parallel_tool_calls": False,
    "text": {
        "format": {"type": "json_schema", "name": "w", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    },
    "max_output_tokens": 500,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "include": [
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
        "web_search_call.results",
    ],
    "reasoning": {"effort": "low", "summary": "auto"},
    "service_tier": "flex",
    "metadata": {"a": "b"},
    "store": False,
    "stream": True,
}


@pytest.mark.requirement("S17", "B-17", "T-14", "B-14", "B-15")
def test_whole_request_is_one_of_the_provider_s_own_sdk() -> None:
    chat = ChatInput(
        messages=(
            Message(role="system", parts=(Text(text="Be kind"),)),
            Message(
                role="user",
                parts=(
                    Text(text="Look"),
                    Media(mime_type="image/png", data=b"hi", detail="low"),
                    Media(mime_type="application/pdf", data=b"hi", filename="a.pdf"),
                    Media(mime_type="audio/wav", data=b"hi"),
                ),
            ),
            Message(
                role="assistant",
                parts=(Text(text="Wait"), ToolCall(id="c1", name="weather", arguments='{"at":"Bonn"}')),
            ),
            Message(role="tool", parts=(ToolResult(tool_call_id="c1", parts=(Text(text="rain"),)),)),
        ),
        tools=(WEATHER,),
        native_tools=(OpaqueBlock(dialect="openai_responses", json=b'{"type": "web_search"}'),),
        tool_choice=ToolChoice(mode="auto", allowed=("weather",), parallel=False),
        response_format=ResponseFormat(kind="json_schema", name="w", schema=b'{"type":"object"}', is_strict=True),
        sampling=Sampling(
            max_tokens=500,
            temperature=0.5,
            top_p=0.9,
            logprobs=True,
            top_logprobs=2,
            reasoning_effort="low",
            shows_reasoning=True,
        ),
        extension=b'{"verbosity":"low","service_tier":"flex","metadata":{"a":"b"},"include":["web_search_call.results"]}',
    )
    call = DIALECT.chat(chat, model="o3-pro", is_stream=True, policy=Policy())
    body = json.loads(call.body)

    assert (call.method, call.path) == ("POST", "/responses")
    assert body == WHOLE
    body["input"][1]["content"].pop()  # the SDK's list of contents forgot audio, its own type for it notwithstanding
    assert STREAM.validate_python(body)


def test_plain_request_asks_for_nothing_but_its_reasoning_back() -> None:
    body = body_of(ChatInput(messages=HELLO))

    assert body == {"model": "o3-pro", "input": [{"role": "user", "content": "Hello"}], **ALWAYS}
    assert PLAIN.validate_python(body)


@pytest.mark.requirement("B-14", "P-18", "B-22")
@pytest.mark.parametrize(
    ("sampling", "name"),
    [
        ({"n": 2}, "n"),
        ({"stop": ("END",)}, "stop"),
        ({"seed": 7}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"top_k": 5}, "top_k"),
    ],
)
def test_sampling_that_responses_do_not_have_is_refused_or_told(sampling: Json, name: str) -> None:
    asked = Sampling(temperature=1.0, **sampling)
    with pytest.raises(UnsupportedParameter) as raised:
        options_of(sampling=asked)
    policy = Policy(adapts=True)

    assert raised.value.param == name
    assert options_of(policy, sampling=asked) == {"temperature": 1.0}
    assert (policy.warnings, policy.dropped) == ([f"left out {name}"], [name])


@pytest.mark.parametrize("name", ["logit_bias", "prediction", "modalities", "audio", "web_search_options"])
def test_parameter_of_chats_alone_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        options_of(extension=json.dumps({name: {"1": 1}}).encode())

    assert raised.value.param == name


def test_values_that_ask_for_nothing_are_left_out() -> None:
    asked = Sampling(n=1, presence_penalty=0.0, frequency_penalty=0.0, logprobs=False, shows_reasoning=False)

    assert options_of(sampling=asked, extension=b'{"logit_bias":null}') == {}


def test_what_the_vocabulary_does_not_know_goes_through_byte_for_byte() -> None:
    extension = b'{"metadata": {"n": 12345678901234567890}, "store": true, "truncation":"auto"}'
    call = DIALECT.chat(ChatInput(messages=HELLO, extension=extension), model="m", is_stream=False, policy=Policy())

    assert b'"metadata":{"n": 12345678901234567890}' in call.body
    assert json.loads(call.body)["store"] is True
    assert json.loads(call.body)["truncation"] == "auto"


def test_include_that_is_no_list_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as raised:
        options_of(extension=b'{"include":"everything"}')

    assert raised.value.param == "include"


def test_own_words_for_the_text_stand_beside_those_of_chats_and_replace_none() -> None:
    form = ResponseFormat(kind="json_object")
    options = options_of(response_format=form, extension=b'{"text":{"verbosity":"low"}}')

    assert options == {"text": {"format": {"type": "json_object"}, "verbosity": "low"}}
    for extension, param in ((b'{"text":{"format":{}}}', "text"), (b'{"text":1}', "text"), (b'{"input":"x"}', "input")):
        with pytest.raises(InvalidRequest) as raised:
            options_of(response_format=form, extension=extension)
        assert raised.value.param == param


@pytest.mark.parametrize(
    ("sampling", "include"),
    [
        ({"logprobs": True}, True),
        ({"top_logprobs": 3}, True),
        ({"logprobs": False}, False),
        ({"top_logprobs": 0}, False),
    ],
)
def test_log_probabilities_are_included_by_name(sampling: Json, include: bool) -> None:
    body = body_of(ChatInput(messages=HELLO, sampling=Sampling(**sampling)))

    assert ("message.output_text.logprobs" in body["include"]) is include
    assert body.get("top_logprobs") == sampling.get("top_logprobs")


@pytest.mark.parametrize(
    ("sampling", "reasoning"),
    [
        ({"reasoning_effort": "xhigh"}, {"effort": "xhigh"}),
        ({"shows_reasoning": True}, {"summary": "auto"}),
        ({"reasoning_budget": 0}, {"effort": "none"}),
        ({"reasoning_effort": "minimal", "shows_reasoning": False}, {"effort": "minimal"}),
    ],
)
def test_reasoning_is_asked_for_by_effort_and_summary(sampling: Json, reasoning: Json) -> None:
    assert options_of(sampling=Sampling(**sampling)) == {"reasoning": reasoning}


@pytest.mark.requirement("B-22")
@pytest.mark.parametrize(
    ("sampling", "effort"),
    [
        ({"reasoning_budget": 500}, "low"),
        ({"reasoning_budget": 8192}, "medium"),
        ({"reasoning_budget": 30_000}, "high"),
        ({"reasoning_budget": 500, "reasoning_effort": "high"}, "high"),
        ({"reasoning_budget": 0, "reasoning_effort": "high"}, "high"),
    ],
)
def test_number_of_tokens_to_think_is_refused_or_becomes_an_effort(sampling: Json, effort: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        options_of(sampling=Sampling(**sampling))
    policy = Policy(adapts=True)

    assert raised.value.param == "reasoning_budget"
    assert options_of(policy, sampling=Sampling(**sampling)) == {"reasoning": {"effort": effort}}
    assert policy.warnings == [f"reasoning_budget set to effort {effort}"]


@pytest.mark.parametrize(
    ("tool", "written"),
    [
        (WEATHER, FUNCTION),
        (
            Tool(name="now"),
            {
                "type": "function",
                "name": "now",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
                "strict": False,
            },
        ),
        (
            Tool(name="f", parameters=b'{"type":"object"}', is_strict=None),
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        ),
    ],
)
def test_function_says_whether_it_is_strict_because_the_default_differs_from_chats(tool: Tool, written: Json) -> None:
    assert options_of(tools=(tool,)) == {"tools": [written]}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(), {"tool_choice": "auto"}),
        (ToolChoice(mode="none", allowed=("weather",)), {"tool_choice": "none"}),
        (ToolChoice(mode="required", parallel=True), {"tool_choice": "required", "parallel_tool_calls": True}),
        (ToolChoice(mode="named", name="weather"), {"tool_choice": {"type": "function", "name": "weather"}}),
        (
            ToolChoice(mode="required", allowed=("weather",)),
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "weather"}],
                }
            },
        ),
    ],
)
def test_choice_of_tools_is_a_word_a_name_or_names(choice: ToolChoice, written: Json) -> None:
    options = options_of(tools=(WEATHER,), tool_choice=choice)

    assert options.pop("tools") == [FUNCTION]
    assert options == written
    assert PLAIN.validate_python({"model": "o3-pro", "input": "Hello", **options})


def test_choice_without_tools_is_said_only_where_it_demands_one() -> None:
    assert options_of(tool_choice=ToolChoice(mode="none")) == {}
    assert options_of(tool_choice=ToolChoice(mode="required")) == {"tool_choice": "required"}


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (ResponseFormat(kind="text"), {"type": "text"}),
        (ResponseFormat(kind="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(kind="json_schema", schema=b'{"big": 12345678901234567890}'),
            {
                "type": "json_schema",
                "name": "answer",
                "schema": {"big": 12345678901234567890},
                "strict": False,
            },
        ),
    ],
)
def test_form_of_the_answer_is_a_format_of_its_text(form: ResponseFormat, written: Json) -> None:
    assert options_of(response_format=form) == {"text": {"format": written}}


@pytest.mark.requirement("T-14")
def test_own_tools_of_the_provider_go_as_they_came_and_those_of_others_are_refused() -> None:
    own = OpaqueBlock(dialect="openai_responses", json=b'{"type": "custom", "name": "sh",  "x": 1.50}')
    foreign = OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"web_search_20250305"}')
    call = DIALECT.chat(ChatInput(messages=HELLO, native_tools=(own,)), model="m", is_stream=False, policy=Policy())

    assert own.json in call.body
    with pytest.raises(UnsupportedParameter) as raised:
        options_of(native_tools=(foreign,))
    assert raised.value.param == "tools"


def test_estimate_counts_text_and_neither_files_nor_ids() -> None:
    pdf = Media(mime_type="application/pdf", data=b"x" * 90_000)
    secret = OpaqueBlock(
        dialect="openai_responses", json=b'{"type":"reasoning","summary":[],"encrypted_content":"' + b"e" * 9000 + b'"}'
    )
    chat = ChatInput(
        messages=(
            Message(role="user", parts=(Text(text="four"), pdf)),
            Message(role="assistant", parts=(secret,)),
        )
    )
    call = DIALECT.chat(chat, model="m", is_stream=False, policy=Policy())

    assert call.prompt() == len("four") + len("document")
