"""A changed copy is what a changed dictionary would be, and the original stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_manager.gateway.catalogue.layers import Layers

CHANGES = st.lists(st.tuples(st.sampled_from([f"k{i}" for i in range(600)]), st.none() | st.integers()), max_size=900)


@given(CHANGES)
def test_changed_copies_are_what_dictionaries_would_be(changes: list[tuple[str, int | None]]) -> None:
    layers, expected = Layers[int](), dict[str, int]()
    for key, value in changes:
        before, held = layers, dict(layers)
        layers = layers.changed(key, value)
        if value is None:
            expected.pop(key, None)
        else:
            expected[key] = value
        assert before == held
        assert (layers.get(key), key in layers, len(layers)) == (expected.get(key), key in expected, len(expected))
    assert layers == expected
    assert set(layers) == set(expected)
