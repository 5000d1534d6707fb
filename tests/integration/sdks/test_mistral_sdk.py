"""The mistralai SDK, unmodified, against the running product. Its models want a finish reason in every stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mistralai.client import Mistral, errors
from questions import (
    EMBEDDING_MODEL,
    HELLO,
    HELLO_ANSWER,
    MODEL,
    MULTIPLY_SCHEMA,
    TOOL_ARGUMENTS,
    TOOL_NAME,
    USE_TOOL,
)

from llm_manager.testing.stack import Stack

TOOL: Any = {"type": "function", "function": {"name": TOOL_NAME, "parameters": MULTIPLY_SCHEMA}}


@pytest.fixture
def client(stack: Stack) -> Mistral:
    return Mistral(api_key=stack.api_key, server_url=stack.origin)


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.requirement("S25")
def test_chat(client: Mistral) -> None:
    answer = client.chat.complete(model=MODEL, messages=ask(HELLO))
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert answer.usage.total_tokens == 6


@pytest.mark.requirement("S25")
def test_stream(client: Mistral) -> None:
    chunks = [event.data for event in client.chat.stream(model=MODEL, messages=ask(HELLO))]
    texts = [str(choice.delta.content or "") for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == HELLO_ANSWER
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]


def test_tools(client: Mistral) -> None:
    answer = client.chat.complete(model=MODEL, messages=ask(USE_TOOL), tools=[TOOL])
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.tool_calls
    call = answer.choices[0].message.tool_calls[0]
    arguments = call.function.arguments
    assert call.function.name == TOOL_NAME
    assert (json.loads(arguments) if isinstance(arguments, str) else arguments) == TOOL_ARGUMENTS


@pytest.mark.requirement("S34")
def test_embeddings(client: Mistral) -> None:
    vectors = client.embeddings.create(model=EMBEDDING_MODEL, inputs=["aa", "b"])
    assert [len(item.embedding or ()) for item in vectors.data] == [8, 8]


def test_errors_are_typed(client: Mistral) -> None:
    with pytest.raises(errors.SDKError) as raised:
        client.chat.complete(model="no-such-model", messages=ask(HELLO))
    assert raised.value.status_code == 404
