from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.estimates import size_of, tokens_of


# tokens of o200k_base, counted on 2026-11-29 with bpe-openai 0.1.4
@pytest.mark.requirement("S97")
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog, and the weather in Paris is expected to be sunny tomorrow.", 22),
        ("机器学习是人工智能的一个分支,它使计算机能够从数据中学习而无需明确编程。", 25),
        ("機械学習は人工知能の一分野であり、コンピュータがデータから学習することを可能にします。", 32),
        ("기계 학습은 인공지능의 한 분야로, 컴퓨터가 데이터로부터 학습할 수 있게 합니다.", 26),
        ("Машинное обучение — это раздел искусственного интеллекта, который позволяет компьютерам учиться.", 21),
    ],
    ids=["en", "zh", "ja", "ko", "ru"],
)
def test_an_estimate_is_near_what_a_tokenizer_counts_in_every_script(text: str, tokens: int) -> None:
    assert tokens_of(size_of(text)) == pytest.approx(tokens, rel=0.3)


@given(st.text())
def test_a_text_is_never_larger_than_its_bytes(text: str) -> None:
    assert len(text) <= size_of(text) <= len(text.encode("utf-8", "surrogatepass"))


def test_tokens_are_rounded_up() -> None:
    assert [tokens_of(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
