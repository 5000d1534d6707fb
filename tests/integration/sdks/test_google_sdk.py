"""The google-genai SDK, unmodified, against the running product."""

from __future__ import annotations

from typing import Any

import google.genai as genai
import pytest
from google.genai import errors, types
from questions import (
    EMBEDDING_MODEL,
    HELLO,
    HELLO_ANSWER,
    MODEL,
    MULTIPLY_SCHEMA,
    PERSON,
    PERSON_QUESTION,
    PERSON_SCHEMA,
    TOOL_ARGUMENTS,
    TOOL_NAME,
    USE_TOOL,
)

from llm_manager.testing.plausible_provider import PlausibleProvider
from llm_manager.testing.stack import Stack

DECLARATION = types.FunctionDeclaration(name=TOOL_NAME, parameters_json_schema=MULTIPLY_SCHEMA)
TOOLS: Any = [types.Tool(function_declarations=[DECLARATION])]


@pytest.fixture
def client(stack: Stack) -> Any:
    """Any: the SDK's unions name types of libraries that are not installed."""
    return genai.Client(api_key=stack.api_key, http_options=types.HttpOptions(base_url=stack.origin))


@pytest.mark.requirement("S23", "B8")
def test_chat(client: Any) -> None:
    answer = client.models.generate_content(model=MODEL, contents=HELLO)
    assert answer.text == HELLO_ANSWER
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    used = answer.usage_metadata
    assert used is not None
    assert (used.prompt_token_count, used.candidates_token_count, used.total_token_count) == (2, 4, 6)


@pytest.mark.requirement("S23", "B8")
def test_stream(client: Any) -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=HELLO))
    assert "".join(chunk.text or "" for chunk in chunks) == HELLO_ANSWER
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == 6


def test_tools(client: Any) -> None:
    config = types.GenerateContentConfig(tools=TOOLS)
    answer = client.models.generate_content(model=MODEL, contents=USE_TOOL, config=config)
    assert answer.function_calls is not None
    call = answer.function_calls[0]
    assert (call.name, call.args) == (TOOL_NAME, TOOL_ARGUMENTS)
    assert answer.candidates is not None
    contents: Any = [
        types.UserContent(USE_TOOL),
        answer.candidates[0].content,
        types.UserContent(types.Part.from_function_response(name=TOOL_NAME, response={"result": 42})),
    ]
    then = client.models.generate_content(model=MODEL, contents=contents, config=config)
    assert then.text is not None
    assert "42" in then.text


def test_parameters_reach_the_model(client: Any, provider: PlausibleProvider) -> None:
    choice = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[TOOL_NAME])
    config = types.GenerateContentConfig(
        seed=7,
        stop_sequences=["zzz"],
        temperature=0.5,
        tools=TOOLS,
        tool_config=types.ToolConfig(function_calling_config=choice),
    )
    picture = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    client.models.generate_content(model=MODEL, contents=[USE_TOOL, picture], config=config)
    sent = provider.requests[-1]
    assert (sent["seed"], sent["stop"], sent["temperature"]) == (7, ["zzz"], 0.5)
    assert TOOL_NAME in str(sent["tool_choice"])
    assert "image_url" in str(sent["messages"])


@pytest.mark.requirement("B-14")
def test_structured_output(client: Any) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=PERSON_SCHEMA)
    answer = client.models.generate_content(model=MODEL, contents=PERSON_QUESTION, config=config)
    assert answer.parsed == PERSON


@pytest.mark.requirement("S34")
def test_embeddings_and_counting(client: Any) -> None:
    vectors = client.models.embed_content(model=EMBEDDING_MODEL, contents=["aa", "b"])
    assert vectors.embeddings is not None
    assert [len(item.values or ()) for item in vectors.embeddings] == [8, 8]
    counted = client.models.count_tokens(model=MODEL, contents=HELLO)
    assert (counted.total_tokens or 0) > 0


@pytest.mark.requirement("S28", "L-28")
@pytest.mark.parametrize(
    ("model", "code", "status"),
    [
        ("no-such-model", 404, "NOT_FOUND"),
        ("openai/fail-400", 400, "INVALID_ARGUMENT"),
        ("openai/fail-429", 429, "RESOURCE_EXHAUSTED"),
    ],
)
def test_errors_are_typed_and_carry_google_s_status(client: Any, model: str, code: int, status: str) -> None:
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=model, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (code, status)


def test_server_error_and_wrong_key(client: Any, stack: Stack) -> None:
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model="openai/fail-500", contents=HELLO)
    wrong: Any = genai.Client(api_key="lm_live_wrong", http_options=types.HttpOptions(base_url=stack.origin))
    with pytest.raises(errors.ClientError) as raised:
        wrong.models.generate_content(model=MODEL, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


@pytest.mark.requirement("L-26")
def test_stream_that_breaks_raises(client: Any) -> None:
    with pytest.raises(errors.APIError, match="The engine broke"):
        list(client.models.generate_content_stream(model="openai/fail-stream", contents=HELLO))
