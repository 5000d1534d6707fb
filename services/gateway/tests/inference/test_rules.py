"""Deadlines and estimates."""

from __future__ import annotations

import pytest

from llm_manager.core.usage import Usage, UsageSource
from llm_manager.gateway.inference.rules import client_deadline, estimated_report


@pytest.mark.parametrize(
    ("header", "is_stream", "seconds"),
    [
        (None, False, 600.0),
        ("60", False, 60.0),
        ("60", True, 600.0),
        ("1", False, 1.0),
        ("900", False, 600.0),
        ("0", False, 600.0),
        ("nan", False, 600.0),
        ("inf", False, 600.0),
        ("soon", False, 600.0),
    ],
)
def test_a_client_that_says_how_long_it_waits_gets_all_of_that_time(
    header: str | None, *, is_stream: bool, seconds: float
) -> None:
    found = client_deadline(limit_seconds=600, read_timeout_header=header, is_stream=is_stream)
    assert found == seconds


def test_a_lost_answer_is_estimated_from_what_was_seen_of_it() -> None:
    report = estimated_report(input_characters=10, output_characters=5)
    assert (report.source, report.usage) == (UsageSource.ESTIMATED, Usage(input_uncached=3, output_text=2, requests=1))
    assert estimated_report(input_characters=10, output_characters=0).source is UsageSource.UNKNOWN
