"""Equal JSON has one spelling and one hash."""

from __future__ import annotations

import json
import random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.canonical import canonical_hash, canonical_json

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=25
)


def _shuffled(value: object, chance: random.Random) -> object:
    if isinstance(value, dict):
        members = [(key, _shuffled(member, chance)) for key, member in cast("dict[str, object]", value).items()]
        chance.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        return [_shuffled(item, chance) for item in cast("list[object]", value)]
    return value


@pytest.mark.requirement("B-13")
@given(_json, st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]))
def test_order_of_keys_and_white_space_do_not_change_the_hash(
    value: object, chance: random.Random, indent: int | None
) -> None:
    other_client = json.loads(json.dumps(_shuffled(value, chance), indent=indent, ensure_ascii=bool(indent)))
    assert canonical_hash(other_client) == canonical_hash(value)


@given(_json)
def test_the_spelling_is_json_of_the_same_value_and_is_stable(value: object) -> None:
    spelled = canonical_json(value)
    assert json.loads(spelled) == value
    assert canonical_json(json.loads(spelled)) == spelled


@pytest.mark.requirement("B-13")
@given(_json, _json)
def test_values_that_differ_have_hashes_that_differ(left: object, right: object) -> None:
    # bool is a number in Python and not in JSON, so the comparison goes by spelling
    assert (canonical_hash(left) == canonical_hash(right)) == (canonical_json(left) == canonical_json(right))


def test_equal_numbers_are_spelled_alike() -> None:
    assert canonical_json([1, 1.0, json.loads("1e0"), -0.0, 0.5]) == b"[1,1,1,0,0.5]"
    assert canonical_hash({"max_tokens": 100}) == canonical_hash({"max_tokens": 100.0})


def test_order_of_arrays_matters() -> None:
    assert canonical_hash(["a", "b"]) != canonical_hash(["b", "a"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, {1: "key"}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a JSON"):
        canonical_json(value)
