"""What a model takes less of than others of its provider is refused by name, or brought within its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, Sampling, Text
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.job import Job, NativeBody, Target
from llm_manager.providers.translator import Translators

TRANSLATORS = Translators(load_facts())
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)


def asked(kind: str, model: str, policy: Policy, *, base_url: str = "", **sampling: Any) -> dict[str, Any]:
    target = Target(provider=kind, kind=kind, base_url=base_url, credential=b"", upstream_model=model)
    chat = ChatInput(messages=HELLO, sampling=Sampling(**sampling))
    call, _ = TRANSLATORS.of(target).translated(Job("chat", target, chat, False, 10.0), policy)
    return json.loads(call.body)


def passed_through(model: str, body: dict[str, Any], policy: Policy, *, base_url: str = "") -> dict[str, Any]:
    target = Target(provider="openai", kind="openai", base_url=base_url, credential=b"", upstream_model=model)
    native = NativeBody("openai_chat", json.dumps({"messages": [], **body}).encode())
    call, _ = TRANSLATORS.of(target).translated(Job("chat", target, native, False, 10.0), policy)
    return json.loads(call.body)


@pytest.mark.requirement("P-18", "B-14")
@pytest.mark.parametrize(
    ("kind", "model", "sampling", "param"),
    [
        ("cohere", "command-r-08-2024", {"reasoning_effort": "high"}, "reasoning_effort"),
        ("cohere", "command-r-08-2024", {"reasoning_budget": 2_000}, "reasoning_budget"),
        ("gemini", "gemini-2.0-flash", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("groq", "llama-3.1-8b-instant", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("openai", "o3", {"temperature": 0.2}, "temperature"),
        ("openai", "o3", {"logprobs": True}, "logprobs"),
        ("anthropic", "claude-opus-5-5", {"top_p": 0.5}, "top_p"),
        ("deepseek", "deepseek-chat", {"max_tokens": 8_193}, "max_tokens"),
    ],
)
def test_what_a_family_lacks_is_refused_by_name_or_left_out_with_a_warning(
    kind: str, model: str, sampling: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        asked(kind, model, Policy(), **sampling)
    assert raised.value.param == param
    policy = Policy(adapts=True)
    body = asked(kind, model, policy, **sampling)
    assert len(policy.warnings) == 1
    plain = asked(kind, model, Policy())
    if param == "max_tokens":
        assert (body.pop("max_tokens"), policy.dropped) == (8_192, [])
    else:
        assert policy.dropped == [param]
    assert body == plain


@pytest.mark.parametrize(
    ("kind", "model", "sampling"),
    [
        ("cohere", "command-r-08-2024", {"reasoning_effort": "none"}),
        ("gemini", "gemini-2.0-flash", {"reasoning_budget": 0}),
        ("openai", "o3", {"temperature": 1.0, "top_p": 1.0, "logprobs": False}),
    ],
)
def test_what_asks_for_nothing_that_is_lacking_is_left_out_in_silence(
    kind: str, model: str, sampling: dict[str, Any]
) -> None:
    policy = Policy()
    assert asked(kind, model, policy, **sampling) == asked(kind, model, Policy())
    assert policy.warnings == []


def test_other_families_and_servers_of_somebody_else_take_it() -> None:
    assert asked("cohere", "command-a-reasoning-08-2025", Policy(), reasoning_budget=9)["thinking"]["token_budget"] == 9
    assert asked("openai", "gpt-4.1", Policy(), temperature=0.2)["temperature"] == 0.2
    assert asked("openai", "o3", Policy(), base_url="http://127.0.0.1:1/v1", temperature=0.2)["temperature"] == 0.2


def test_a_body_in_openai_s_own_words_meets_the_same_limits() -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        passed_through("o3", {"parallel_tool_calls": True}, Policy())
    assert raised.value.param == "parallel_tool_calls"
    policy = Policy(adapts=True)
    assert "parallel_tool_calls" not in passed_through("o3", {"parallel_tool_calls": True}, policy)
    assert policy.dropped == ["parallel_tool_calls"]
    assert passed_through("gpt-5.1", {"parallel_tool_calls": True}, Policy())["parallel_tool_calls"] is True
    elsewhere = passed_through("o3", {"parallel_tool_calls": True}, Policy(), base_url="http://127.0.0.1:1/v1")
    assert elsewhere["parallel_tool_calls"] is True


def test_translators_are_made_once_for_a_family_and_few_names_are_remembered() -> None:
    translators = Translators(load_facts())

    def of(model: str) -> object:
        return translators.of(Target(provider="p", kind="openai", base_url="", credential=b"", upstream_model=model))

    assert of("o3") is of("o3-2025-04-16") is of("o1")
    assert of("gpt-4.1") is not of("o3")
    first = of("somebody-0")
    assert all(of(f"somebody-{number}") is first for number in range(2_500))
    assert len(translators._known) <= 1_000  # pyright: ignore[reportPrivateUsage] # the bound is the point
