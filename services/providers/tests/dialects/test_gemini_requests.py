"""Requests as Gemini's dialect writes them: whole bodies and paths."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from google.genai import types

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
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
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.policy import Policy

FACTS = load_facts()["gemini"]
DIALECT = GeminiGenerate(FACTS, new_id=str)
Json = dict[str, Any]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
WEATHER = Tool(name="weather", description="Tells it", parameters=b'{"type":"object","$defs":{}}', is_strict=True)
OLD, NEW = "gemini-2.5-flash", "gemini-3-pro-preview"
ALWAYS = "gemini-2.5-pro"


def body_of(chat: ChatInput, *, model: str = OLD, policy: Policy | None = None) -> Json:
    family = FACTS.family_of(model)
    dialect = GeminiGenerate(FACTS.narrowed(family), new_id=str) if family else DIALECT
    return json.loads(dialect.chat(chat, model=model, is_stream=False, policy=policy or Policy()).body)


def config_of(*, model: str = OLD, policy: Policy | None = None, **sampling: Any) -> Json:
    body = body_of(ChatInput(messages=HELLO, sampling=Sampling(**sampling)), model=model, policy=policy)
    return body.get("generationConfig", {})


WHOLE = ChatInput(
    messages=(
        Message(role="system", parts=(Text(text="Be "), Text(text="kind"))),
        Message(role="user", parts=(Text(text="See"), Media(mime_type="image/png", data=b"\x89P", detail="low"))),
        Message(
            role="assistant",
            parts=(
                Reasoning(text="hm"),
                Text(text="I look."),
                ToolCall(id="c1", name="weather", arguments='{"a":1.50}'),
                ToolCall(id="c2", name="clock", arguments='{"a"'),
            ),
        ),
        Message(role="tool", parts=(ToolResult(tool_call_id="c2", parts=(Text(text="noon"),)),)),
        Message(role="tool", parts=(ToolResult(tool_call_id="c1", parts=(Text(text='{"sun":true}'),)),)),
        Message(role="assistant", parts=(Refusal(text="no"),)),
        Message(role="system", parts=(Text(text="Hurry"),)),
        Message(role="user", parts=(Text(text="Go on"),)),
    ),
    tools=(WEATHER, Tool(name="clock")),
    native_tools=(OpaqueBlock(dialect="gemini_generate", json=b'{"googleSearch":{}}'),),
    tool_choice=ToolChoice(mode="named", name="weather", parallel=True),
    response_format=ResponseFormat(kind="json_schema", name="s", schema=b'{"type":["object","null"]}'),
    sampling=Sampling(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        seed=7,
        stop=("x", "y"),
        n=2,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=4,
        reasoning_budget=512,
        shows_reasoning=True,
    ),
    extension=b'{"safety_settings":[{"category":"X"}],"cachedContent":"cachedContents/1","mediaResolution":"MEDIA_RESOLUTION_LOW"}',
)
WRITTEN: Json = {
    "systemInstruction": {"parts": [{"text": "Be "}, {"text": "kind"}, {"text": "Hurry"}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": "iVA="}}],
        },
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"id": "c1", "name": "weather", "args": {"a": 1.5}}},
                {"functionCall": {"id": "c2", "name": "clock", "args": {"text": '{"a"'}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"sun": True}}},
                {"functionResponse": {"id": "c2", "name": "clock", "response": {"result": "noon"}}},
            ],
        },
        {"role": "model", "parts": [{"text": "no"}]},
        {"role": "user", "parts": [{"text": "Go on"}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tells it",
                    "parametersJsonSchema": {"type": "object", "$defs": {}},
                },
                {"name": "clock"},
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
    "generationConfig": {
        "maxOutputTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "seed": 7,
        "stopSequences": ["x", "y"],
        "candidateCount": 2,
        "presencePenalty": 0.1,
        "frequencyPenalty": -0.1,
        "responseLogprobs": True,
        "logprobs": 4,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": ["object", "null"]},
        "thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
    "safetySettings": [{"category": "X"}],
    "cachedContent": "cachedContents/1",
}


def test_whole_chat_is_written_in_gemini_s_form() -> None:
    call = DIALECT.chat(WHOLE, model="models/gemini-2.5-flash", is_stream=True, policy=Policy())

    assert (call.method, call.path) == ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    assert json.loads(call.body) == WRITTEN
    assert b'"a":1.50' in call.body
    assert call.prompt() > 40
    assert_google_s_sdk_knows_every_field(json.loads(call.body))


def assert_google_s_sdk_knows_every_field(body: Json) -> None:
    """Validate against the types of the official SDK, which refuse fields that they do not know."""
    written = [types.Content.model_validate(content) for content in [*body["contents"], body["systemInstruction"]]]
    tools = [types.Tool.model_validate(tool) for tool in body["tools"]]
    tool_config = types.ToolConfig.model_validate(body["toolConfig"])
    config = types.GenerationConfig.model_validate(body["generationConfig"])

    assert all(content.parts for content in written)
    assert [bool(tool.function_declarations) for tool in tools] == [True, False]
    assert tool_config.function_calling_config is not None
    assert tool_config.function_calling_config.allowed_function_names == ["weather"]
    assert (config.seed, config.candidate_count, config.logprobs) == (7, 2, 4)


def test_plain_chat_holds_nothing_that_was_not_asked_for() -> None:
    call = DIALECT.chat(ChatInput(messages=HELLO), model="a/b c", is_stream=False, policy=Policy())

    assert call.path == "/v1beta/models/a%2Fb%20c:generateContent"
    assert json.loads(call.body) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none", allowed=("weather",)), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="required", allowed=("weather",)), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (ToolChoice(mode="auto", allowed=("weather",)), {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_choice_of_tools_is_a_mode_and_names(choice: ToolChoice, config: Json) -> None:
    body = body_of(ChatInput(messages=HELLO, tools=(Tool(name="weather"),), tool_choice=choice))

    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert "toolConfig" not in body_of(ChatInput(messages=HELLO, tool_choice=ToolChoice(mode="auto")))


def test_calls_one_after_the_other_are_refused() -> None:
    chat = ChatInput(messages=HELLO, tools=(Tool(name="weather"),), tool_choice=ToolChoice(parallel=False))
    with pytest.raises(UnsupportedParameter) as raised:
        body_of(chat)
    policy = Policy(adapts=True)

    assert raised.value.param == "parallel_tool_calls"
    assert body_of(chat, policy=policy)["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert policy.warnings == ["left out parallel_tool_calls"]


@pytest.mark.parametrize(
    ("model", "sampling", "thinking"),
    [
        (OLD, {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (OLD, {"reasoning_effort": "medium"}, {"thinkingBudget": 8192}),
        (OLD, {"reasoning_effort": "high", "reasoning_budget": 0}, {"thinkingBudget": 0}),
        (NEW, {"reasoning_effort": "high"}, {"thinkingLevel": "high"}),
        (
            NEW,
            {"reasoning_effort": "xhigh", "shows_reasoning": False},
            {"thinkingLevel": "xhigh", "includeThoughts": False},
        ),
        (NEW, {"reasoning_effort": "high", "reasoning_budget": 100}, {"thinkingBudget": 100}),
        (NEW, {"shows_reasoning": True}, {"includeThoughts": True}),
    ],
)
def test_reasoning_is_asked_for_in_the_words_of_the_model_s_generation(
    model: str, sampling: Json, thinking: Json
) -> None:
    assert config_of(model=model, **sampling) == {"thinkingConfig": thinking}


@pytest.mark.parametrize(
    ("model", "name", "value", "used"),
    [
        (NEW, "reasoning_effort", "none", {"thinkingLevel": "low"}),
        (NEW, "reasoning_effort", "max", {"thinkingLevel": "high"}),
        (NEW, "reasoning_budget", 0, {"thinkingLevel": "low"}),
        (OLD, "reasoning_effort", "odd", {"thinkingBudget": 8192}),
        (ALWAYS, "reasoning_effort", "none", {"thinkingBudget": 128}),
        (ALWAYS, "reasoning_effort", "odd", {"thinkingBudget": 8192}),
        (ALWAYS, "reasoning_budget", 0, {"thinkingBudget": 128}),
    ],
)
def test_reasoning_that_the_model_cannot_do_is_refused_or_told(model: str, name: str, value: Any, used: Json) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        config_of(model=model, **{name: value})
    policy = Policy(adapts=True)

    assert raised.value.param == name
    assert config_of(model=model, policy=policy, **{name: value}) == {"thinkingConfig": used}
    assert len(policy.warnings) == 1


@pytest.mark.parametrize(
    ("sampling", "own", "thinking"),
    [
        ({"reasoning_effort": "low"}, {"include_thoughts": True}, {"thinkingBudget": 1024, "include_thoughts": True}),
        (
            {"reasoning_effort": "low", "shows_reasoning": True},
            {"thinkingLevel": "HIGH"},
            {"thinkingLevel": "HIGH", "includeThoughts": True},
        ),
        ({"shows_reasoning": True}, {"include_thoughts": False}, {"include_thoughts": False}),
        ({"reasoning_effort": "low"}, "odd", "odd"),
    ],
)
def test_what_gemini_s_own_words_leave_open_about_reasoning_is_kept(sampling: Json, own: Any, thinking: Any) -> None:
    extension = json.dumps({"thinking_config": own}).encode()
    body = body_of(ChatInput(messages=HELLO, sampling=Sampling(**sampling), extension=extension))

    assert body["generationConfig"] == {"thinkingConfig": thinking}


def test_seed_beyond_32_bits_is_refused_or_told() -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        config_of(seed=2**40 + 5)
    policy = Policy(adapts=True)

    assert raised.value.param == "seed"
    assert config_of(policy=policy, seed=2**40 + 5) == {"seed": 5}
    assert policy.warnings == ["seed set to 5"]
    assert config_of(seed=-5, logprobs=False, top_logprobs=0) == {"seed": -5, "logprobs": 0}


@pytest.mark.parametrize(
    ("extension", "param"),
    [(b'{"logit_bias":{"1":2}}', "logit_bias"), (b'{"colour":"red"}', "colour"), (b'{"store":true}', "store")],
)
def test_parameter_that_gemini_does_not_know_is_refused(extension: bytes, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        body_of(ChatInput(messages=HELLO, extension=extension))

    assert raised.value.param == param
    assert "store" not in body_of(ChatInput(messages=HELLO, extension=b'{"store":false,"service_tier":"auto"}'))


def test_tools_of_other_providers_are_refused() -> None:
    foreign = OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"web_search_20250305"}')
    with pytest.raises(UnsupportedParameter) as raised:
        body_of(ChatInput(messages=HELLO, native_tools=(foreign,)))

    assert raised.value.param == "tools"


def test_one_text_and_several_are_embedded_at_different_addresses() -> None:
    one = DIALECT.embeddings(
        EmbeddingsInput(texts=("a",), dimensions=8, purpose="search_query", extension=b'{"title":"T"}'),
        model="models/e",
        policy=Policy(),
    )
    two = DIALECT.embeddings(
        EmbeddingsInput(texts=("a", "b"), extension=b'{"encoding_format":"base64"}'), model="e", policy=Policy()
    )

    asked: Json = {"model": "models/e", "content": {"parts": [{"text": "a"}]}}
    assert one.path == "/v1beta/models/e:embedContent"
    assert json.loads(one.body) == {
        **asked,
        "outputDimensionality": 8,
        "taskType": "RETRIEVAL_QUERY",
        "title": "T",
    }
    assert (two.path, two.prompt()) == ("/v1beta/models/e:batchEmbedContents", 2)
    assert json.loads(two.body) == {"requests": [asked, {**asked, "content": {"parts": [{"text": "b"}]}}]}


def test_prompt_is_counted_with_everything_that_makes_it() -> None:
    chat = ChatInput(messages=(Message(role="system", parts=(Text(text="Be kind"),)), *HELLO), tools=(Tool(name="f"),))
    call = DIALECT.count_tokens(chat, model="m", policy=Policy())

    assert call.path == "/v1beta/models/m:countTokens"
    assert json.loads(call.body) == {
        "generateContentRequest": {
            "model": "models/m",
            "systemInstruction": {"parts": [{"text": "Be kind"}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        }
    }
