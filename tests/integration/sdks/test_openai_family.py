"""The SDKs of OpenAI's family, unmodified: openai, groq, together. They retry, time out and raise as at home."""

from __future__ import annotations

import json
import time
from typing import Any

import groq
import openai
import pytest
import together
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

# Any: the three SDKs are generated from one template, with types of their own
SDKS: dict[str, Any] = {"openai": openai, "groq": groq, "together": together}
TOOL = {"type": "function", "function": {"name": TOOL_NAME, "parameters": MULTIPLY_SCHEMA}}


def client_of(name: str, stack: Stack, **options: Any) -> Any:
    """The SDK's client; Groq's looks under /openai/v1 by itself, Together's under /v1."""
    makes: Any = {"openai": openai.OpenAI, "groq": groq.Groq, "together": together.Together}[name]
    base_url = stack.base_url if name == "openai" else stack.origin
    own = {"openai": {"_strict_response_validation": True}, "groq": {}, "together": {"project_id": "any"}}[name]
    return makes(**{"base_url": base_url, "api_key": stack.api_key, **own, **options})


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(params=sorted(SDKS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.requirement("S17", "S24", "S27")
def test_chat(name: str, stack: Stack) -> None:
    answer = client_of(name, stack).chat.completions.create(model=MODEL, messages=ask(HELLO))
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens == 6


@pytest.mark.requirement("S17", "P-2")
def test_stream(name: str, stack: Stack) -> None:
    chunks = list(client_of(name, stack).chat.completions.create(model=MODEL, messages=ask(HELLO), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == HELLO_ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_tools_whole_and_streamed(name: str, stack: Stack) -> None:
    client = client_of(name, stack)
    whole = client.chat.completions.create(model=MODEL, messages=ask(USE_TOOL), tools=[TOOL])
    call = whole.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == (TOOL_NAME, TOOL_ARGUMENTS)
    assert whole.choices[0].finish_reason == "tool_calls"
    chunks = client.chat.completions.create(model=MODEL, messages=ask(USE_TOOL), tools=[TOOL], stream=True)
    parts = [part for chunk in chunks for c in chunk.choices for part in c.delta.tool_calls or ()]
    assert parts[0].function.name == TOOL_NAME
    assert json.loads("".join(part.function.arguments or "" for part in parts)) == TOOL_ARGUMENTS
    result = {"role": "tool", "tool_call_id": call.id, "content": "42"}
    turn = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
    then = client.chat.completions.create(model=MODEL, messages=[*ask(USE_TOOL), turn, result], tools=[TOOL])
    assert then.choices[0].message.content == "The tool says: 42"


@pytest.mark.requirement("B-14", "P-18")
def test_structured_output(name: str, stack: Stack) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON_SCHEMA, "strict": True}}
    answer = client_of(name, stack).chat.completions.create(
        model=MODEL, messages=ask(PERSON_QUESTION), response_format=form
    )
    assert json.loads(answer.choices[0].message.content) == PERSON


@pytest.mark.requirement("S34")
def test_embeddings(name: str, stack: Stack) -> None:
    # OpenAI's SDK asks for base64 by itself, and with strict validation takes what it asked for as wrong
    relaxed = {"_strict_response_validation": False} if name == "openai" else {}
    vectors = client_of(name, stack, **relaxed).embeddings.create(model=EMBEDDING_MODEL, input=["aa", "b"])
    assert [item.index for item in vectors.data] == [0, 1]
    assert vectors.data[0].embedding[0] == 2.5
    assert len(vectors.data[1].embedding) == 8


@pytest.mark.requirement("S28", "L-28", "T-5")
@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("no-such-model", "NotFoundError", 404),
        ("openai/fail-400", "BadRequestError", 400),
        ("openai/fail-429", "RateLimitError", 429),
        ("openai/fail-500", "InternalServerError", 502),
    ],
)
def test_errors_are_the_sdk_s_own(name: str, stack: Stack, model: str, error: str, status: int) -> None:
    client = client_of(name, stack, max_retries=0)
    with pytest.raises(getattr(SDKS[name], error)) as raised:
        client.chat.completions.create(model=model, messages=ask(HELLO))
    assert raised.value.status_code == status
    assert raised.value.response.headers["x-request-id"]
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "1"


def test_wrong_key_is_an_authentication_error(name: str, stack: Stack) -> None:
    with pytest.raises(SDKS[name].AuthenticationError):
        client_of(name, stack, api_key="lm_live_wrong").chat.completions.create(model=MODEL, messages=ask(HELLO))


@pytest.mark.requirement("L-26", "P-3")
def test_stream_that_breaks_raises(name: str, stack: Stack) -> None:
    chunks = client_of(name, stack).chat.completions.create(
        model="openai/fail-stream", messages=ask(HELLO), stream=True
    )
    with pytest.raises(SDKS[name].APIError, match="The engine broke"):
        list(chunks)


def test_sdk_retries_until_it_goes_well(name: str, stack: Stack, provider: PlausibleProvider) -> None:
    before = len(provider.requests)
    answer = client_of(name, stack, max_retries=2).chat.completions.create(
        model="openai/fail-twice", messages=ask(HELLO)
    )
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert len(provider.requests) - before == 3


@pytest.mark.requirement("T-9", "P-17")
def test_client_that_is_about_to_time_out_gets_an_answer_and_the_provider_is_left(
    name: str, stack: Stack, provider: PlausibleProvider
) -> None:
    before, started = len(provider.disconnects), time.monotonic()
    with pytest.raises(SDKS[name].APIError) as raised:
        client_of(name, stack, timeout=0.4, max_retries=0).chat.completions.create(
            model="openai/slow", messages=ask(HELLO)
        )
    # the SDK says how long it reads; shortly before, the gateway answers 504, which says more than a hang-up
    if not isinstance(raised.value, SDKS[name].APITimeoutError):
        assert raised.value.body.get("error", raised.value.body)["code"] == "upstream_timeout"
    while len(provider.disconnects) == before and time.monotonic() - started < 1.8:
        time.sleep(0.02)
    assert len(provider.disconnects) == before + 1


@pytest.mark.parametrize("lister", ["openai", "groq"])
def test_models(lister: str, stack: Stack) -> None:
    # Together's lists the models of a project of its own platform
    assert "echo" in [model.id for model in client_of(lister, stack).models.list().data]


@pytest.mark.requirement("L-5")
def test_usage_of_a_stream_comes_once_and_alone(stack: Stack) -> None:
    chunks = list(
        client_of("openai", stack).chat.completions.create(
            model=MODEL, messages=ask(HELLO), stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.choices for chunk in chunks if chunk.usage] == [[]]
    assert chunks[-1].usage.total_tokens == 6


def test_legacy_completions(stack: Stack) -> None:
    client = client_of("openai", stack)
    answer = client.completions.create(model=MODEL, prompt=HELLO)
    assert answer.choices[0].text == HELLO_ANSWER
    # OpenAI's own chunks have a finish_reason of null, which its strict types refuse (openai-completions-211ae22f2d)
    lenient = openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key)
    chunks = list(lenient.completions.create(model=MODEL, prompt=HELLO, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == HELLO_ANSWER
    assert all(chunk.choices[0].text is not None for chunk in chunks)


@pytest.mark.requirement("S34")
def test_dimensions_and_base64(stack: Stack) -> None:
    client = client_of("openai", stack, _strict_response_validation=False)
    plain = client.embeddings.create(model=EMBEDDING_MODEL, input="aa", dimensions=3, encoding_format="float")
    packed = client.embeddings.create(model=EMBEDDING_MODEL, input="aa", dimensions=3)
    assert len(plain.data[0].embedding) == 3
    assert packed.data[0].embedding == plain.data[0].embedding
