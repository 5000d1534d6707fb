"""How Anthropic's models are told to sample and to think."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, Sampling, Text, Tool, ToolChoice
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.policy import Policy

FACTS = load_facts()["anthropic"]
DIALECT = AnthropicMessages(FACTS, new_id=str)
Json = dict[str, Any]
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
# The first are told a number of tokens, the second an effort, the third either.
OLD, NEW, BOTH = "claude-sonnet-4-5", "claude-opus-5", "claude-opus-4-6"


def sampled(sampling: Json, *, model: str = OLD, policy: Policy | None = None) -> Json:
    """The body without its model and its messages."""
    chat = ChatInput(messages=HELLO, sampling=Sampling(**sampling))
    family = FACTS.family_of(model)
    dialect = AnthropicMessages(FACTS.narrowed(family), new_id=str) if family else DIALECT
    body: Json = json.loads(dialect.chat(chat, model=model, is_stream=False, policy=policy or Policy()).body)
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
@pytest.mark.parametrize(("name", "value"), [("temperature", 0.5), ("top_p", 0.5), ("top_k", 1)])
def test_models_without_sampling_refuse_it_before_they_are_asked(model: str, name: str, value: float) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        sampled({name: value}, model=model)
    assert raised.value.param == name
    assert sampled({name: value}, model=model, policy=Policy(adapts=True)) == {"max_tokens": 8192}
    assert sampled({name: value}) == {"max_tokens": 8192, name: value}
    assert sampled({"temperature": 1, "top_p": 1}, model=model) == {"max_tokens": 8192}


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


@pytest.mark.parametrize(
    ("model", "asked", "name", "used"),
    [
        (OLD, {"temperature": 0.5}, "temperature", 1),
        (BOTH, {"temperature": 0}, "temperature", 1),
        (OLD, {"top_p": 0.9}, "top_p", 0.95),
        (BOTH, {"top_k": 40}, "top_k", None),
    ],
)
def test_sampling_that_anthropic_forbids_beside_thoughts_is_refused_or_adapted(
    model: str, asked: Json, name: str, used: float | None
) -> None:
    thoughts = {"reasoning_effort": "low", "max_tokens": 9000}
    with pytest.raises(UnsupportedParameter) as raised:
        sampled({**asked, **thoughts}, model=model)
    assert raised.value.param == name

    policy = Policy(adapts=True)
    assert sampled({**asked, **thoughts}, model=model, policy=policy).get(name) == used
    assert policy.warnings == [f"left out {name}" if used is None else f"{name} set to {used}"]
    # what it takes beside thoughts, and anything without them
    assert sampled({"top_p": 0.95, **thoughts}, model=model)["top_p"] == 0.95
    assert sampled({"temperature": 1, **thoughts}, model=model)["temperature"] == 1
    assert sampled({**asked, "reasoning_effort": "none"}, model=model)[name] == asked[name]


def test_sampling_beside_thoughts_that_an_extension_asks_for_is_refused() -> None:
    chat = ChatInput(messages=HELLO, sampling=Sampling(temperature=0.5), extension=b'{"thinking":{"type":"adaptive"}}')
    with pytest.raises(UnsupportedParameter) as raised:
        DIALECT.chat(chat, model=BOTH, is_stream=False, policy=Policy())
    assert raised.value.param == "temperature"
    # no table says no kind; the provider says what is wrong with it
    odd = ChatInput(messages=HELLO, sampling=Sampling(temperature=0.5), extension=b'{"thinking":"much"}')
    assert json.loads(DIALECT.chat(odd, model=BOTH, is_stream=False, policy=Policy()).body)["thinking"] == "much"


@pytest.mark.parametrize(
    ("thoughts", "param"),
    [({"reasoning_effort": "low"}, "reasoning_effort"), ({"reasoning_budget": 2048}, "reasoning_budget")],
)
@pytest.mark.parametrize("choice", [ToolChoice(mode="required"), ToolChoice(mode="named", name="now")])
def test_forced_call_beside_thoughts_in_tokens_is_refused_or_made_without_them(
    choice: ToolChoice, thoughts: Json, param: str
) -> None:
    chat = ChatInput(
        messages=HELLO, tools=(Tool(name="now"),), tool_choice=choice, sampling=Sampling(max_tokens=9000, **thoughts)
    )
    with pytest.raises(UnsupportedParameter) as raised:
        DIALECT.chat(chat, model=OLD, is_stream=False, policy=Policy())
    assert raised.value.param == param

    policy = Policy(adapts=True)
    body: Json = json.loads(DIALECT.chat(chat, model=OLD, is_stream=False, policy=policy).body)
    assert (body["thinking"], body["max_tokens"]) == ({"type": "disabled"}, 9000)
    assert policy.warnings == [f"left out {param}"]


def test_forced_call_beside_an_effort_is_made() -> None:
    chat = ChatInput(
        messages=HELLO,
        tools=(Tool(name="now"),),
        tool_choice=ToolChoice(mode="required"),
        sampling=Sampling(reasoning_effort="high"),
    )
    body: Json = json.loads(DIALECT.chat(chat, model=BOTH, is_stream=False, policy=Policy()).body)
    assert (body["thinking"], body["tool_choice"]) == ({"type": "adaptive"}, {"type": "any"})


@pytest.mark.parametrize(("stop", "told"), [(("END", "\n\n"), ["END"]), ((" ",), None)])
def test_white_space_that_should_end_the_answer_is_refused_or_left_out(
    stop: tuple[str, ...], told: list[str] | None
) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        sampled({"stop": stop})
    assert raised.value.param == "stop"

    policy = Policy(adapts=True)
    assert sampled({"stop": stop}, policy=policy).get("stop_sequences") == told
    assert policy.warnings == [f"stop set to {len(told or [])} of {len(stop)} texts"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"temperature": 0.7, "top_p": 1}, {"temperature": 0.7}),
        ({"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 1, "top_p": 1}, {"temperature": 1}),
        # it is for the provider to say which models take both
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
    ],
)
def test_sampling_that_asks_for_nothing_does_not_keep_the_other_from_its_model(asked: Json, told: Json) -> None:
    assert sampled(asked) == {"max_tokens": 8192, **told}
