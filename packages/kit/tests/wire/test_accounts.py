"""Counts and money come out of the contract's messages as they went in."""

from __future__ import annotations

import pytest

from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.prices import Cost, CostState, PriceLine
from llm_manager.core.usage import BUCKETS, AttemptState, Usage, UsageSource
from llm_manager.kit.wire import accounts


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_comes_back(bucket: str) -> None:
    usage = Usage(**{bucket: 2**40})
    assert accounts.usage_from_proto(accounts.usage_to_proto(usage)) == usage


def test_every_state_has_a_number_of_its_own_and_zero_has_none() -> None:
    assert {accounts.state_from_proto(accounts.STATES[state]) for state in AttemptState} == set(AttemptState)
    assert {accounts.source_from_proto(accounts.SOURCES[source]) for source in UsageSource} == set(UsageSource)
    assert {accounts.cost_state_from_proto(accounts.COST_STATES[state]) for state in CostState} == set(CostState)
    assert accounts.state_from_proto(0) is None
    assert accounts.source_from_proto(0) is None
    assert accounts.cost_state_from_proto(99) is None


def test_unknown_money_is_absent_and_not_zero() -> None:
    line = PriceLine("output_text", 3, 5, 7)
    priced = accounts.cost_to_proto(Cost(CostState.PRICED, 7, (line,), "v1"))
    assert (accounts.total_from_proto(priced), priced.price_version) == (7, "v1")
    assert [accounts.line_from_proto(item) for item in priced.lines] == [line]
    assert accounts.total_from_proto(accounts.cost_to_proto(Cost(CostState.PRICED, 0))) == 0
    assert accounts.total_from_proto(accounts.cost_to_proto(Cost(CostState.UNPRICED, None))) is None
    assert accounts.total_from_proto(event_pb2.Cost()) is None
