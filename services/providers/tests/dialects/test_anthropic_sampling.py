"""How Anthropic's models are told to sample and to think."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, Sampling, Text
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.policy import Policy

DIALECT = AnthropicMessages(load_facts()["anthropic"], new_id=str)
Json = dict[str, Any]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
# The first are told a number of tokens, the second an effort, the third either.
OLD, NEW, BOTH = "claude-sonnet-4-5", "claude-opus-5", "claude-opus-4-6"


def sampled(sampling: Json, *, model: str = OLD, policy: Policy | None = None) -> Json:
    """The body without its model and its messages."""
    chat = ChatInput(messages=HELLO, sampling=Sampling(**sampling))
    body: Json = json.loads(DIALECT.chat(chat, model=model, is_stream=False, policy=policy or Policy()).body)
    assert body.pop("model") == model
    assert body.pop("messages") == [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    return body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2), ("seed", 7), ("logprobs", True), ("top_logprobs", 2), ("presence_penalty", 0.1),
        ("frequency_penalty", -0.1),
    ],
)  # fmt: skip
def test_what_anthropic_cannot_do_is_refused_by_name_or_left_out_with_a_warning(name: str, value: Any) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        sampled({name: value})
    assert raised.value.param == name

    policy = Policy(adapts=True)
    assert sampled({name: value}, policy=policy) == {"max_tokens": 8192}
    assert policy.warnings == [f"left out {name}"]


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5"])
@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_models_without_sampling_refuse_it_before_they_are_asked(model: str, name: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        sampled({name: 1}, model=model)
    assert raised.value.param == name
    assert sampled({name: 1}, model=model, policy=Policy(adapts=True)) == {"max_tokens": 8192}
    assert sampled({name: 1}) == {"max_tokens": 8192, name: 1}


def test_temperature_above_anthropic_s_range_is_refused_or_brought_into_it() -> None:
    with pytest.raises(UnsupportedParameter, match=r"'temperature' of at most 1\.0"):
        sampled({"temperature": 1.5})
    policy = Policy(adapts=True)
    assert sampled({"temperature": 1.5}, policy=policy) == {"max_tokens": 8192, "temperature": 1.0}
    assert policy.warnings == ["temperature set to 1.0"]


ADAPTIVE: Json = {"type": "adaptive"}
OFF: Json = {"thinking": {"type": "disabled"}, "max_tokens": 8192}


def enabled(budget: int, max_tokens: int) -> Json:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}, "max_tokens": max_tokens}


@pytest.mark.parametrize(
    ("model", "sampling", "expected"),
    [
        (OLD, {"reasoning_budget": 4000}, enabled(4000, 12192)),
        (OLD, {"reasoning_budget": 4000, "max_tokens": 5000}, enabled(4000, 5000)),
        (OLD, {"reasoning_budget": 0}, OFF),
        (OLD, {"reasoning_effort": "none"}, OFF),
        (OLD, {"reasoning_effort": "minimal"}, enabled(1024, 9216)),
        (OLD, {"reasoning_effort": "low"}, enabled(2048, 10240)),
        (OLD, {"reasoning_effort": "high", "max_tokens": 20000}, enabled(10000, 20000)),
        (OLD, {"reasoning_effort": "high", "max_tokens": 1100}, enabled(1024, 1100)),
        # the number says more than the word
        (OLD, {"reasoning_effort": "high", "reasoning_budget": 1024}, enabled(1024, 9216)),
        (OLD, {"shows_reasoning": True}, {"max_tokens": 8192}),
        (BOTH, {"reasoning_budget": 1024}, enabled(1024, 9216)),
        (
            BOTH,
            {"reasoning_effort": "low"},
            {"thinking": ADAPTIVE, "output_config": {"effort": "low"}, "max_tokens": 10240},
        ),
        (
            NEW,
            {"reasoning_effort": "max", "max_tokens": 10, "shows_reasoning": False},
            {"thinking": {**ADAPTIVE, "display": "omitted"}, "output_config": {"effort": "max"}, "max_tokens": 10},
        ),
        (NEW, {"shows_reasoning": True}, {"thinking": {**ADAPTIVE, "display": "summarized"}, "max_tokens": 16384}),
        (NEW, {"reasoning_budget": 0}, OFF),
        (NEW, {"reasoning_effort": "none"}, OFF),
        (NEW, {}, {"max_tokens": 8192}),
    ],
)
def test_how_much_to_think_is_said_in_the_model_s_own_words(model: str, sampling: Json, expected: Json) -> None:
    assert sampled(sampling, model=model) == expected


@pytest.mark.requirement("B-22")
@pytest.mark.parametrize(
    ("model", "sampling", "param", "adapted", "warning"),
    [
        (OLD, {"reasoning_budget": 500}, "reasoning_budget", enabled(1024, 9216), "reasoning_budget set to 1024"),
        (
            OLD,
            {"reasoning_budget": 9000, "max_tokens": 2000},
            "reasoning_budget",
            enabled(1999, 2000),
            "reasoning_budget set to 1999",
        ),
        (
            OLD,
            {"reasoning_budget": 1024, "max_tokens": 100},
            "reasoning_budget",
            {**OFF, "max_tokens": 100},
            "reasoning_budget set to 0",
        ),
        (
            OLD,
            {"reasoning_effort": "low", "max_tokens": 1024},
            "reasoning_effort",
            {**OFF, "max_tokens": 1024},
            "reasoning_effort set to none",
        ),
        (OLD, {"reasoning_effort": "huge"}, "reasoning_effort", enabled(8192, 16384), "reasoning_effort set to medium"),
        (
            NEW,
            {"reasoning_effort": "minimal"},
            "reasoning_effort",
            {"thinking": ADAPTIVE, "output_config": {"effort": "low"}, "max_tokens": 10240},
            "reasoning_effort set to low",
        ),
        (
            NEW,
            {"reasoning_budget": 4096},
            "reasoning_budget",
            {"thinking": ADAPTIVE, "output_config": {"effort": "medium"}, "max_tokens": 16384},
            "left out reasoning_budget",
        ),
    ],
)
def test_thinking_that_the_model_does_not_take_is_refused_or_adapted(
    model: str, sampling: Json, param: str, adapted: Json, warning: str
) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        sampled(sampling, model=model)
    assert raised.value.param == param

    policy = Policy(adapts=True)
    assert sampled(sampling, model=model, policy=policy) == adapted
    assert policy.warnings == [warning]
