"""The request of the short form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, ModelNotFound, UnsupportedParameter, UpstreamRefused
from llm_manager.core.messages import ChatInput, Message, OpaqueBlock, ResponseFormat, Sampling, Text, Tool
from llm_manager.gateway.ingress.platform.generate_request import (
    chat_of_request,
    in_words_of_the_form,
    read_request,
)


def _read(**members: Any) -> ChatInput:
    request = read_request(json.dumps({"configuration": "c", **members}).encode())
    with in_words_of_the_form():
        return chat_of_request(request)


def _said(*texts: str, role: Any = "user") -> Message:
    return Message(role=role, parts=tuple(Text(text=text) for text in texts))


def test_a_prompt_is_what_a_user_says_and_its_context_stands_before_it() -> None:
    assert _read(prompt="Hi") == ChatInput(messages=(_said("Hi"),))
    assert _read(prompt="Hi", context="Be brief").messages == (_said("Be brief", role="system"), _said("Hi"))
    asked = _read(messages=[{"role": "user", "content": "Hi"}], context=["One", "", "Two"])
    assert asked.messages == (_said("One", "Two", role="system"), _said("Hi"))
    assert _read(prompt="Hi", context=[]).messages == (_said("Hi"),)


def test_parameters_have_the_names_of_openai() -> None:
    tool = {"type": "function", "function": {"name": "look"}}
    parameters = {"temperature": 0, "max_tokens": 5, "stop": "x", "tools": [tool], "reasoning": {"effort": "low"}}
    asked = _read(prompt="Hi", parameters={**parameters, "n": 1, "response_format": {"type": "json_object"}})
    assert asked == ChatInput(
        messages=(_said("Hi"),),
        tools=(Tool(name="look"),),
        response_format=ResponseFormat(kind="json_object"),
        sampling=Sampling(temperature=0, max_tokens=5, stop=("x",), reasoning_effort="low", n=1),
    )


def test_an_extension_goes_to_the_provider() -> None:
    assert json.loads(_read(prompt="Hi", extension={"safe_prompt": True}).extension) == {"safe_prompt": True}


@pytest.mark.requirement("B-17")
def test_the_blocks_of_a_provider_come_back() -> None:
    blocks = [{"dialect": "gemini_generate", "block": {"thoughtSignature": "x"}}]
    message = {"role": "assistant", "content": "Hi", "provider_blocks": blocks}
    block = OpaqueBlock(dialect="gemini_generate", json=b'{"thoughtSignature": "x"}')
    assert _read(messages=[message]).messages[0].parts == (Text(text="Hi"), block)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"configuration": None, "prompt": "Hi"}, "configuration"),
    ({}, "prompt"),
    ({"prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}]}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    ({"prompt": "Hi", "parameters": {"temperature": 3}}, "parameters.temperature"),
    ({"prompt": "Hi", "parameters": {"temperatur": 1}}, "parameters.temperatur"),
    ({"prompt": "Hi", "parameters": {"n": 2}}, "parameters.n"),
    ({"prompt": "Hi", "parameters": {"logprobs": True}}, "parameters.logprobs"),
    ({"prompt": "Hi", "parameters": {"functions": []}}, "parameters.functions"),
    ({"prompt": "Hi", "parameters": {"max_tokens": 5, "max_completion_tokens": 6}}, "parameters.max_tokens"),
    ({"prompt": "Hi", "parameters": {"thinking": {"type": "enabled"}}}, "parameters.thinking.budget_tokens"),
    ({"prompt": "Hi", "extension": {"seed": 1}}, "extension.seed"),
    ({"prompt": "Hi", "context": {"a": 1}}, "context"),
    ({"prompt": "Hi", "model": "c"}, "model"),
    ({"prompt": "Hi", "temperature": 1}, "temperature"),
]


@pytest.mark.requirement("S32", "B-2")
@pytest.mark.parametrize(("members", "param"), WRONG)
def test_bad_input_is_unprocessable_and_its_field_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _read(**members)
    assert (caught.value.http_status, caught.value.param) == (422, param)


def test_what_a_worker_refuses_is_named_in_the_words_of_the_form() -> None:
    with pytest.raises(UnsupportedParameter) as refused, in_words_of_the_form():
        raise UnsupportedParameter("no seed here", param="seed")
    assert (refused.value.http_status, refused.value.param) == (422, "parameters.seed")
    with pytest.raises(ModelNotFound) as unknown, in_words_of_the_form():
        raise ModelNotFound("no such model", param="model")
    assert (unknown.value.http_status, unknown.value.param) == (404, "configuration")
    with pytest.raises(UpstreamRefused) as upstream, in_words_of_the_form():
        raise UpstreamRefused("the provider said no", param="seed")
    assert (upstream.value.http_status, upstream.value.param) == (400, "seed")
