"""What each kind makes of OpenAI's parameters: sent under its own name, or refused by name, never dropped."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from dialects import main_dialect

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Message,
    Sampling,
    Text,
    Tool,
)
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.policy import Policy

OPENAI_LIKE = [kind for kind, facts in load_facts().items() if facts.dialect == "openai_chat"]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
WEATHER = Tool(name="weather", description="Tells it", parameters=b'{"type":"object"}', is_strict=True)


def body_of(kind: str, chat: ChatInput, *, stream: bool = False) -> dict[str, Any]:
    call = main_dialect(kind).chat(chat, model="m", is_stream=stream, policy=Policy())
    return json.loads(call.body)


def native_body_of(kind: str, body: bytes, *, stream: bool = False) -> dict[str, Any]:
    call = OpenAiChat(load_facts()[kind], new_id=lambda: "x").native_chat(
        body, model="m", is_stream=stream, policy=Policy()
    )
    return json.loads(call.body)


@pytest.mark.requirement("B-15")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("openai", "max_completion_tokens"),
        ("groq", "max_completion_tokens"),
        ("mistral", "max_tokens"),
        ("together", "max_tokens"),
        ("openrouter", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("custom", "max_tokens"),
    ],
)
def test_largest_number_of_tokens_reaches_the_provider_under_its_name(kind: str, name: str) -> None:
    body = body_of(kind, ChatInput(messages=HELLO, sampling=Sampling(max_tokens=7, temperature=0.5)))

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        name: 7,
    }


@pytest.mark.requirement("B-15")
@pytest.mark.parametrize("kind", ["ollama", "echo"])
def test_sampling_reaches_ollama_among_its_options(kind: str) -> None:
    sampling = Sampling(
        max_tokens=7, temperature=0.5, top_p=0.9, top_k=3, seed=2**40, stop=("x",), presence_penalty=0.1
    )
    body = body_of(kind, ChatInput(messages=HELLO, sampling=sampling))

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 3,
            "presence_penalty": 0.1,
            "seed": 2**40,
            "stop": ["x"],
            "num_predict": 7,
        },
    }


@pytest.mark.parametrize("kind", sorted(load_facts()))
def test_every_neutral_sampling_parameter_is_sent_or_refused_by_name(kind: str) -> None:
    values: dict[str, Any] = {
        "temperature": 0.5, "top_p": 0.5, "top_k": 5, "presence_penalty": 0.5, "frequency_penalty": 0.5, "seed": 5,
        "stop": ("s",), "n": 2, "logprobs": True, "top_logprobs": 2, "reasoning_effort": "low", "max_tokens": 5,
    }  # fmt: skip
    facts, refusals = load_facts()[kind], dict[str, str]()
    for name, value in values.items():
        chat = ChatInput(messages=HELLO, sampling=Sampling(**{name: value}))
        plain = body_of(kind, ChatInput(messages=HELLO))
        try:
            body = body_of(kind, chat)
        except UnsupportedParameter as refused:
            refusals[name] = refused.param or ""
        else:
            assert name not in facts.parameters.unsupported
            assert body != plain
    assert refusals == {name: name for name in refusals}


@pytest.mark.parametrize(("kind", "name"), [("mistral", "random_seed"), ("openai", "seed"), ("together", "seed")])
def test_seed_of_64_bits_arrives_exactly(kind: str, name: str) -> None:
    body = native_body_of(kind, b'{"messages":[],"seed":15092511270073158001}')

    assert body[name] == 15092511270073158001


@pytest.mark.parametrize("kind", OPENAI_LIKE)
def test_native_body_keeps_unknown_fields_and_replaces_model_and_stream(kind: str) -> None:
    facts = load_facts()[kind]
    raw = b'{"model":"nice","stream":true,"stream_options":{"include_obfuscation":false},"future":{"x":[1.0,1e400]}}'
    dialect = OpenAiChat(facts, new_id=lambda: "x")
    streamed = dialect.native_chat(raw, model="m", is_stream=True, policy=Policy()).body
    whole = dialect.native_chat(raw, model="m", is_stream=False, policy=Policy()).body

    assert b'"future":{"x":[1.0,1e400]}' in streamed
    assert (b'"stream":true' in streamed, b'"stream"' in whole) == (True, False)
    assert b'"model":"m"' in streamed
    assert b"stream_options" not in whole
    if facts.stream.asks_usage:
        assert b'"stream_options":{"include_obfuscation":false,"include_usage":true}' in streamed
    else:
        assert b"stream_options" not in streamed


@pytest.mark.parametrize(
    ("kind", "body", "param"),
    [
        ("groq", b'{"n":2}', "n"),
        ("groq", b'{"logprobs":true}', "logprobs"),
        ("groq", b'{"presence_penalty":0.5}', "presence_penalty"),
        ("groq", b'{"metadata":{"a":"b"}}', "metadata"),
        ("mistral", b'{"functions":[]}', "functions"),
        ("mistral", b'{"logit_bias":{"1":1}}', "logit_bias"),
        ("together", b'{"parallel_tool_calls":false}', "parallel_tool_calls"),
        ("deepseek", b'{"n":2}', "n"),
    ],
)
def test_parameter_that_a_provider_lacks_is_refused_by_name(kind: str, body: bytes, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        native_body_of(kind, body)

    assert raised.value.param == param
    assert load_facts()[kind].title in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("groq", b'{"n":1,"logprobs":false,"top_logprobs":null,"frequency_penalty":0}'),
        ("together", b'{"parallel_tool_calls":true}'),
    ],
)
def test_parameter_with_the_value_that_means_nothing_is_left_out(kind: str, body: bytes) -> None:
    assert native_body_of(kind, body) == {"model": "m"}


def test_provider_s_own_name_wins_over_the_renamed_one() -> None:
    body = native_body_of("mistral", b'{"seed":1,"random_seed":2,"max_completion_tokens":3}')

    assert body == {"model": "m", "random_seed": 2, "max_tokens": 3}


def test_extension_goes_through_where_the_facts_let_it_and_is_refused_elsewhere() -> None:
    chat = ChatInput(messages=HELLO, extension=b'{"min_p":0.1,"nothing":null}')
    assert body_of("custom", chat)["min_p"] == 0.1
    assert body_of("ollama", chat)["options"] == {"min_p": 0.1}
    with pytest.raises(UnsupportedParameter) as raised:
        body_of("echo", chat)
    assert raised.value.param == "min_p"
    with pytest.raises(InvalidRequest):
        body_of("custom", ChatInput(messages=HELLO, extension=b"[1]"))


def test_ollama_s_own_parameters_stand_where_it_looks_for_them() -> None:
    extension = b'{"num_ctx":4096,"keep_alive":"5m","options":{"mirostat":1},"think":"high"}'
    body = body_of("ollama", ChatInput(messages=HELLO, extension=extension))

    assert body["options"] == {"num_ctx": 4096, "mirostat": 1}
    assert (body["keep_alive"], body["think"]) == ("5m", "high")


@pytest.mark.parametrize(("effort", "think"), [("none", False), ("low", "low"), ("medium", "medium"), ("high", "high")])
def test_reasoning_effort_becomes_ollama_s_think(effort: str, think: object) -> None:
    body = body_of("ollama", ChatInput(messages=HELLO, sampling=Sampling(reasoning_effort=effort)))

    assert body["think"] == think


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_texts_to_embed_are_written_with_their_options(kind: str) -> None:
    request = EmbeddingsInput(texts=("a", "bc"), dimensions=3, extension=b'{"truncate":true}')
    call = main_dialect(kind).embeddings(request, model="m", policy=Policy())

    assert json.loads(call.body) == {"model": "m", "input": ["a", "bc"], "dimensions": 3, "truncate": True}
    assert call.prompt() == 3


def test_prompt_is_measured_by_its_texts_alone() -> None:
    picture = "data:image/png;base64," + "A" * 10_000
    parts = [{"type": "text", "text": "12345"}, {"type": "image_url", "image_url": {"url": picture}}]
    body = json.dumps({"messages": [{"role": "user", "content": parts}], "tools": [{"name": "abc"}]}).encode()
    native = OpenAiChat(load_facts()["openai"], new_id=lambda: "x").native_chat(
        body, model="m", is_stream=False, policy=Policy()
    )

    assert native.prompt() == 8


def test_server_of_somebody_else_decides_for_itself() -> None:
    openai = load_facts()["openai"]

    assert openai.at("https://api.openai.com/v1/") is openai
    assert openai.at("") is openai
    assert openai.at("http://127.0.0.1:8000/v1").parameters.unsupported == ("include_reasoning",)
