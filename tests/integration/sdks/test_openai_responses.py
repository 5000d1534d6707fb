"""The openai SDK over the Responses API, strict response validation on."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from questions import HELLO, HELLO_ANSWER, MODEL, MULTIPLY_SCHEMA, TOOL_ARGUMENTS, TOOL_NAME, USE_TOOL

from llm_manager.testing.stack import Stack

# Any: the SDK's parameters are typed dicts, which plain ones do not match
TOOL: Any = {"type": "function", "name": TOOL_NAME, "parameters": MULTIPLY_SCHEMA, "strict": True}


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key, _strict_response_validation=True)


class Person(BaseModel):
    """What the model is asked to fill."""

    name: str
    age: int


@pytest.mark.requirement("B8", "B-16")
def test_plain(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input=HELLO)
    assert (response.output_text, response.status) == (HELLO_ANSWER, "completed")
    assert response.usage is not None
    assert response.usage.total_tokens == 6
    assert response.usage.input_tokens_details.cache_write_tokens == 0


@pytest.mark.requirement("B8", "B-16")
def test_stream_has_dense_numbers_and_ends_with_the_whole(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model=MODEL, input=HELLO, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == HELLO_ANSWER
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == HELLO_ANSWER


def test_tools_and_their_results(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=USE_TOOL, tools=[TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == (TOOL_NAME, TOOL_ARGUMENTS)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
    then = client.responses.create(model=MODEL, previous_response_id=first.id, input=[result], tools=[TOOL])
    assert then.output_text == "The tool says: 42"


@pytest.mark.requirement("B-14")
def test_structured_output(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model=MODEL, input="Ada is 36 years old.", text_format=Person)
    assert parsed.output_parsed == Person(name="Ada", age=36)


def test_stored_responses_are_read_listed_and_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input=HELLO)
    assert client.responses.retrieve(made.id) == client.responses.retrieve(made.id)
    assert client.responses.retrieve(made.id).output == made.output
    items = client.responses.input_items.list(made.id).data
    assert items[0].type == "message"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=MODEL, input=HELLO, previous_response_id=made.id)


def test_not_stored_is_not_found(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input=HELLO, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_stream_that_breaks_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="The engine broke"):
        list(client.responses.create(model="openai/fail-stream", input=HELLO, stream=True))


@pytest.mark.parametrize(("model", "status"), [("no-such-model", 404), ("openai/fail-429", 429)])
def test_errors_are_typed(client: openai.OpenAI, model: str, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.with_options(max_retries=0).responses.create(model=model, input=HELLO)
    assert raised.value.status_code == status
