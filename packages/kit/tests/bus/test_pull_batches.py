"""How long a batch is gathered."""

from __future__ import annotations

import pytest

from llm_manager.kit.bus.consumer import busy_wait_seconds
from llm_manager.kit.bus.pull import wait_seconds


@pytest.mark.parametrize(("gathered", "expected"), [(1, 0.25), (5, 0.25), (6, 1.0), (1000, 1.0)])
def test_only_more_than_a_handful_of_messages_makes_a_batch_wait_longer(gathered: int, expected: float) -> None:
    assert wait_seconds(gathered, seldom=0.25, busy=1.0) == expected


@pytest.mark.parametrize(
    ("max_wait_seconds", "ack_wait_seconds", "expected"),
    [
        (0.25, 5.0, 1.0),
        (0.25, 0.7, 0.25),  # a longer wait would not leave the handler most of its time
        (1.0, 5.0, 1.25),
        (10.0, 5.0, 10.0),  # what was asked for is never cut
        (0.0, 5.0, 0.0),
    ],
)
def test_under_load_a_batch_is_gathered_longer_but_well_below_the_ack_wait(
    max_wait_seconds: float, ack_wait_seconds: float, expected: float
) -> None:
    assert busy_wait_seconds(max_wait_seconds, ack_wait_seconds=ack_wait_seconds) == expected
