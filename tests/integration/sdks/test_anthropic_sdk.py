"""The anthropic SDK, unmodified, against the running product."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from questions import (
    HELLO,
    HELLO_ANSWER,
    MODEL,
    MULTIPLY_SCHEMA,
    TOOL_ARGUMENTS,
    TOOL_NAME,
    USE_TOOL,
)

from llm_manager.testing.plausible_provider import PlausibleProvider
from llm_manager.testing.stack import Stack

# Any: the SDK's parameters are typed dicts, which plain ones do not match
TOOL: Any = {"name": TOOL_NAME, "input_schema": MULTIPLY_SCHEMA}


@pytest.fixture
def client(stack: Stack) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=stack.origin, api_key=stack.api_key, max_retries=0, _strict_response_validation=True
    )


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.requirement("T-13", "B8")
def test_chat(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=100, messages=ask(HELLO))
    assert [block.text for block in message.content if block.type == "text"] == [HELLO_ANSWER]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 2, 4)


@pytest.mark.requirement("T-13", "B8")
def test_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=100, messages=ask(HELLO)) as stream:
        assert "".join(stream.text_stream) == HELLO_ANSWER
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("end_turn", 2, 4)


def test_tools_whole_and_streamed(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(model=MODEL, max_tokens=100, messages=ask(USE_TOOL), tools=[TOOL])
    call = next(block for block in whole.content if block.type == "tool_use")
    assert (call.name, call.input, whole.stop_reason) == (TOOL_NAME, TOOL_ARGUMENTS, "tool_use")
    with client.messages.stream(model=MODEL, max_tokens=100, messages=ask(USE_TOOL), tools=[TOOL]) as stream:
        streamed = next(block for block in stream.get_final_message().content if block.type == "tool_use")
    assert (streamed.name, streamed.input) == (TOOL_NAME, TOOL_ARGUMENTS)
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "42"}]}
    turn = {"role": "assistant", "content": [block.model_dump() for block in whole.content]}
    messages: Any = [*ask(USE_TOOL), turn, result]
    then = client.messages.create(model=MODEL, max_tokens=100, messages=messages, tools=[TOOL])
    assert [block.text for block in then.content if block.type == "text"] == ["The tool says: 42"]


def test_stop_sequences_reach_the_model(client: anthropic.Anthropic, provider: PlausibleProvider) -> None:
    client.messages.create(model=MODEL, max_tokens=100, messages=ask(HELLO), stop_sequences=["hel"])
    assert provider.requests[-1]["stop"] == ["hel"]


def test_length(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=2, messages=ask(HELLO))
    assert message.stop_reason == "max_tokens"


def test_count_tokens(client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=ask(HELLO)).input_tokens > 0


def test_models(client: anthropic.Anthropic) -> None:
    assert "echo" in [model.id for model in client.models.list().data]


@pytest.mark.requirement("S28", "L-28")
@pytest.mark.parametrize(
    ("model", "error", "status", "kind"),
    [
        ("no-such-model", anthropic.NotFoundError, 404, "not_found_error"),
        ("openai/fail-400", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("openai/fail-429", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("openai/fail-500", anthropic.InternalServerError, 502, "api_error"),
    ],
)
def test_errors_are_typed_and_in_anthropic_s_shape(
    client: anthropic.Anthropic, model: str, error: type[anthropic.APIStatusError], status: int, kind: str
) -> None:
    with pytest.raises(error) as raised:
        client.messages.create(model=model, max_tokens=100, messages=ask(HELLO))
    assert raised.value.status_code == status
    assert raised.value.request_id
    body: Any = raised.value.body
    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", kind, raised.value.request_id)


def test_empty_messages_and_wrong_key_are_refused(client: anthropic.Anthropic, stack: Stack) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=MODEL, max_tokens=100, messages=[])
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=stack.origin, api_key="lm_live_wrong").messages.create(
            model=MODEL, max_tokens=100, messages=ask(HELLO)
        )


@pytest.mark.requirement("L-26", "P-3")
def test_stream_that_breaks_raises(client: anthropic.Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError, match="The engine broke"),
        client.messages.stream(model="openai/fail-stream", max_tokens=100, messages=ask(HELLO)) as stream,
    ):
        stream.get_final_message()
