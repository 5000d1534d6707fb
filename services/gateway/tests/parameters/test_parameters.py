"""How parameters are merged, and what a request becomes that does not say them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.contracts.inference.v1 import chat_pb2
from llm_manager.gateway.ingress.rpc import set_sampling
from llm_manager.gateway.parameters.rules import Strategy, effective, with_parameters

DEEP, MERGE, REPLACE = Strategy.DEEP_MERGE, Strategy.MERGE, Strategy.REPLACE
Json = dict[str, Any]


@pytest.mark.requirement("S50")
@pytest.mark.parametrize(
    ("defaults", "overrides", "holds"),
    [
        ({"a": 1}, [], {"a": 1}),
        ({}, [(MERGE, {"a": 1})], {"a": 1}),
        ({"a": 1, "b": 2}, [(MERGE, {"b": 3})], {"a": 1, "b": 3}),
        ({"a": 1, "b": 2}, [(REPLACE, {"b": 3})], {"b": 3}),
        ({"a": 1}, [(MERGE, {"a": 2}), (MERGE, {"a": 3})], {"a": 3}),
        ({"a": 1}, [(MERGE, {"a": 2}), (REPLACE, {"c": 3})], {"c": 3}),
        ({"a": {"x": 1}}, [(MERGE, {"a": {"y": 2}})], {"a": {"y": 2}}),
        ({"a": {"x": 1}}, [(DEEP, {"a": {"y": 2}})], {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": {"p": 1, "q": 1}}}, [(DEEP, {"a": {"x": {"p": 2}}})], {"a": {"x": {"p": 2, "q": 1}}}),
        # a scalar stays one, and a list is replaced
        ({"temperature": 0.1}, [(DEEP, {"temperature": 0.9})], {"temperature": 0.9}),
        ({"stop": ["a"]}, [(DEEP, {"stop": ["b"]})], {"stop": ["b"]}),
        ({"a": {"x": 1}}, [(DEEP, {"a": 2})], {"a": 2}),
        ({"a": 2}, [(DEEP, {"a": {"x": 1}})], {"a": {"x": 1}}),
        ({"a": None}, [(DEEP, {"a": {"x": 1}})], {"a": {"x": 1}}),
    ],
)
def test_parameters_are_merged_in_the_order_of_their_overrides(
    defaults: Json, overrides: list[tuple[Strategy, Json]], holds: Json
) -> None:
    before = json.dumps([defaults, overrides])
    assert effective(defaults, overrides) == holds
    assert json.dumps([defaults, overrides]) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)
TABLES = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(before=TABLES, after=TABLES)
def test_a_deep_merge_holds_all_that_came_later_and_keeps_what_only_was_before(before: Json, after: Json) -> None:
    merged = effective(before, [(DEEP, after)])
    assert set(merged) == {*before, *after}
    assert effective(merged, [(DEEP, after)]) == merged
    for name, value in after.items():
        if not isinstance(value, dict):
            assert merged[name] == value
    assert all(merged[name] == before[name] for name in before.keys() - after.keys())


SAID = {"temperature": 0.2, "max_tokens": 50, "stop": "END", "top_p": 0.9, "reasoning_effort": "low"}


@pytest.mark.requirement("S51")
@pytest.mark.parametrize(
    ("dialect", "body", "sent", "holds"),
    [
        ("openai_chat", {"model": "m"}, {"model": "m", **SAID}, SAID),
        ("openai_chat", {"temperature": 1}, {**SAID, "temperature": 1}, {**SAID, "temperature": 1}),
        (
            "openai_chat",
            {"max_completion_tokens": 9, "reasoning": {"effort": "high"}},
            {
                **{name: SAID[name] for name in ("temperature", "stop", "top_p")},
                "max_completion_tokens": 9,
                "reasoning": {"effort": "high"},
            },
            {**SAID, "max_tokens": 9, "reasoning_effort": {"effort": "high"}},
        ),
        ("", {"configuration": "c"}, {"configuration": "c", "parameters": SAID}, SAID),
        ("", {"parameters": {"top_p": 0.1}}, {"parameters": {**SAID, "top_p": 0.1}}, {**SAID, "top_p": 0.1}),
        (
            "anthropic_messages",
            {"max_tokens": 7},
            {"max_tokens": 7, "temperature": 0.2, "stop_sequences": ["END"], "top_p": 0.9},
            {"max_tokens": 7, "temperature": 0.2, "stop": "END", "top_p": 0.9},
        ),
        (
            "gemini_generate",
            {"generationConfig": {"temperature": 2}},
            {"generationConfig": {"temperature": 2, "maxOutputTokens": 50, "stopSequences": ["END"], "topP": 0.9}},
            {"temperature": 2, "max_tokens": 50, "stop": "END", "top_p": 0.9},
        ),
        (
            "cohere_v2",
            {},
            {"temperature": 0.2, "max_tokens": 50, "stop_sequences": ["END"], "p": 0.9},
            {"temperature": 0.2, "max_tokens": 50, "stop": "END", "top_p": 0.9},
        ),
        (
            "openai_responses",
            {"reasoning": {"summary": "auto"}},
            {
                "reasoning": {"summary": "auto", "effort": "low"},
                "temperature": 0.2,
                "max_output_tokens": 50,
                "top_p": 0.9,
            },
            {"temperature": 0.2, "max_tokens": 50, "top_p": 0.9, "reasoning_effort": "low"},
        ),
        (
            "openai_completions",
            {},
            {"temperature": 0.2, "max_tokens": 50, "stop": "END", "top_p": 0.9},
            {"temperature": 0.2, "max_tokens": 50, "stop": "END", "top_p": 0.9},
        ),
    ],
)
def test_a_request_gets_what_it_does_not_say_in_the_words_of_its_dialect(
    dialect: str, body: Json, sent: Json, holds: Json
) -> None:
    changed, held = with_parameters(json.dumps(body).encode(), dialect, SAID)
    assert (json.loads(changed), held) == (sent, holds)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"null", b'"x"'])
def test_what_is_no_object_stays_as_it_is_for_who_refuses_it(body: bytes) -> None:
    assert with_parameters(body, "openai_chat", SAID) == (body, {})


def test_numbers_of_a_request_keep_their_digits_and_null_is_something_said() -> None:
    body = b'{"seed":9007199254740993,"temperature":null,"generationConfig":3}'
    changed, held = with_parameters(body, "openai_chat", {"temperature": 0.5})
    assert b"9007199254740993" in changed
    assert held == {"temperature": None}
    # what cannot be read is left to who refuses it
    assert with_parameters(body, "gemini_generate", {"top_p": 0.5})[1] == {}


def test_a_chat_over_grpc_gets_them_too() -> None:
    sampling = chat_pb2.Sampling(temperature=0.0, stop=[])
    set_sampling(sampling, {**SAID, "max_completion_tokens": 60, "logit_bias": {"1": 2}})
    assert (sampling.temperature, sampling.top_p, list(sampling.stop)) == (0.0, 0.9, ["END"])
    assert (sampling.max_tokens, sampling.reasoning_effort) == (60, "low")
