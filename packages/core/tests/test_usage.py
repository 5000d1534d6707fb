"""Counts in disjoint buckets, and OpenAI's totals made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource

ANY_USAGE = st.builds(Usage, **{name: st.integers(0, 2**40) for name in BUCKETS})
INPUT = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image")
OUTPUT = ("output_text", "output_reasoning", "output_audio", "output_image")


@pytest.mark.requirement("L-8")
@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_token_counts_in_one_total_at_most(bucket: str) -> None:
    usage = Usage(**{bucket: 5})

    assert (usage.input_total, usage.output_total) == (5 * (bucket in INPUT), 5 * (bucket in OUTPUT))


@given(ANY_USAGE, ANY_USAGE)
def test_adding_adds_every_bucket(left: Usage, right: Usage) -> None:
    total = left + right

    assert all(getattr(total, name) == getattr(left, name) + getattr(right, name) for name in BUCKETS)
    assert total.input_total == left.input_total + right.input_total
    assert total.output_total == left.output_total + right.output_total


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_negative_count_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match=f"usage bucket {bucket} is negative: -1"):
        Usage(**{bucket: -1})


def test_buckets_are_those_of_the_design() -> None:
    assert (*INPUT, *OUTPUT, "search_units", "requests") == BUCKETS


def test_a_report_of_nothing_says_so() -> None:
    assert UsageReport() == UsageReport(Usage(), UsageSource.NONE, b"", None)
