"""The cohere SDK, unmodified, against the running product."""

from __future__ import annotations

import json
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
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

from llm_manager.testing.stack import Stack

TOOL: Any = {"type": "function", "function": {"name": TOOL_NAME, "parameters": MULTIPLY_SCHEMA}}


@pytest.fixture
def client(stack: Stack) -> cohere.ClientV2:
    return cohere.ClientV2(api_key=stack.api_key, base_url=stack.origin)


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.requirement("S26")
def test_chat(client: cohere.ClientV2) -> None:
    answer = client.chat(model=MODEL, messages=ask(HELLO))
    assert answer.message.content is not None
    assert [item.text for item in answer.message.content if item.type == "text"] == [HELLO_ANSWER]
    assert answer.finish_reason == "COMPLETE"
    assert answer.usage is not None
    assert answer.usage.tokens is not None
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (2, 4)


@pytest.mark.requirement("S26")
def test_stream(client: cohere.ClientV2) -> None:
    events: list[Any] = list(client.chat_stream(model=MODEL, messages=ask(HELLO)))
    texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert "".join(texts) == HELLO_ANSWER
    assert events[-1].type == "message-end"
    assert events[-1].delta.usage.tokens.output_tokens == 4


def test_tools(client: cohere.ClientV2) -> None:
    answer = client.chat(model=MODEL, messages=ask(USE_TOOL), tools=[TOOL])
    assert answer.message.tool_calls
    call = answer.message.tool_calls[0]
    assert call.function is not None
    assert (call.function.name, json.loads(call.function.arguments or "")) == (TOOL_NAME, TOOL_ARGUMENTS)
    assert answer.finish_reason == "TOOL_CALL"
    result = {"role": "tool", "tool_call_id": call.id, "content": "42"}
    turn = {"role": "assistant", "tool_calls": [call.model_dump()]}
    messages: Any = [*ask(USE_TOOL), turn, result]
    then = client.chat(model=MODEL, messages=messages, tools=[TOOL])
    assert then.message.content is not None
    assert "42" in str(then.message.content)


@pytest.mark.requirement("B-14")
def test_structured_output(client: cohere.ClientV2) -> None:
    form: Any = {"type": "json_object", "json_schema": PERSON_SCHEMA}
    answer = client.chat(model=MODEL, messages=ask(PERSON_QUESTION), response_format=form)
    assert answer.message.content is not None
    assert json.loads(next(item.text for item in answer.message.content if item.type == "text")) == PERSON


@pytest.mark.requirement("S26", "S34")
def test_embeddings(client: cohere.ClientV2) -> None:
    vectors = client.embed(
        model=EMBEDDING_MODEL, texts=["aa", "b"], input_type="search_document", embedding_types=["float"]
    )
    assert vectors.embeddings.float_ is not None
    assert [len(vector) for vector in vectors.embeddings.float_] == [8, 8]


@pytest.mark.requirement("S28", "L-28")
@pytest.mark.parametrize(("model", "status"), [("no-such-model", 404), ("openai/fail-400", 400)])
def test_errors_are_typed_and_say_what_is_wrong(client: cohere.ClientV2, model: str, status: int) -> None:
    with pytest.raises(ApiError) as raised:
        client.chat(model=model, messages=ask(HELLO))
    assert raised.value.status_code == status
    assert raised.value.body["message"]
