from __future__ import annotations

import pytest

from llm_manager.cli.importing.document import LARGEST_BYTES, ImportRefused, parse


def _laughs(write: str) -> bytes:
    """Nine levels of ten times the level before."""
    lines = ["l0: &l0 {a: 1, b: 2}"]
    for n in range(1, 10):
        lines.append(f"l{n}: &l{n} {write.format(', '.join([f'*l{n - 1}'] * 10))}")
    return "\n".join(lines).encode()


def test_values_become_json_whatever_yaml_makes_of_them() -> None:
    text = b"day: 2026-11-30\non: yes\nbias: {50256: -100}\nbase: &b {x: 1}\nmade: {<<: *b, y: 2.5}\nnone:\n"
    assert parse(text) == {
        "day": "2026-11-30",
        "True": True,
        "bias": {"50256": -100},
        "base": {"x": 1},
        "made": {"x": 1, "y": 2.5},
        "none": None,
    }


@pytest.mark.parametrize("empty", [b"", b"# nothing\n", b"null"])
def test_an_empty_file_is_an_empty_table(empty: bytes) -> None:
    assert parse(empty) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x" * (LARGEST_BYTES + 1), "larger than 5,000,000 bytes"),
        (b"- 1", "holds no table"),
        (b"a: [1, sk-canary-1", "no YAML: it cannot be read at line 1"),
        (b"a: *sk-canary-1", "no YAML"),
        (b"a: !!python/object/apply:os.system [sk-canary-1]", "no YAML"),
        (b"a: !!int ''", "no YAML"),
        (b"a: !!bool sk-canary-1", "no YAML"),
        (b"a: 2026-99-99", "no YAML"),
        (b"a: " + b"9" * 5000, "no YAML"),
        (b"a: 99999999999999999999", "a: the number is too large"),
        (b"a: {b: [.nan]}", "a.b[0]: write a finite number"),
        (b"a: !!binary c2stY2FuYXJ5LTE=", "a: it is bytes"),
        (b"a: !!set {x}", "a: it is set"),
        (b"api_key: sk-canary-1\napi_key: sk-canary-2", "Line 2 repeats a key"),
        (b"1: a\n'1': b", "1: the key is there twice"),
        (b"? [a, b]\n: c", "no YAML"),
        (b"a: &a [*a]", "nested more than"),
        (b"[" * 3000, "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
        (_laughs("[{}]"), "once its aliases are written out"),
        (_laughs("{{<<: [{}]}}"), "holds more than 200,000 values"),
        (b"a: [" + b"1," * 200_001 + b"]", "holds more than 200,000 values"),
    ],
)
def test_what_is_hostile_or_broken_is_refused_without_repeating_it(content: bytes, said: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        parse(content)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 300
