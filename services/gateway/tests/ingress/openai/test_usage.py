"""Usage in OpenAI's totals."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import BUCKETS, Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome
from llm_manager.gateway.ingress.money import usd
from llm_manager.gateway.ingress.openai.usage import chat_usage, embeddings_usage

COUNTS = st.fixed_dictionaries({name: st.integers(0, 10**9) for name in BUCKETS})


def _outcome(usage: Usage, *, picousd: int | None = 0, raw: bytes = b"", source: str = "provider") -> Outcome:
    state = CostState.UNPRICED if picousd is None else CostState.PRICED
    return Outcome(report=UsageReport(usage, UsageSource(source), raw), cost=Cost(state, picousd))


@pytest.mark.requirement("P-5", "L-8")
@given(COUNTS, st.booleans())
def test_prompt_and_completion_always_make_the_total(counts: dict[str, int], keeps_native_keys: bool) -> None:
    usage = Usage(**counts)
    raw = b'{"prompt_tokens":1,"completion_tokens":1,"total_tokens":99,"prompt_tokens_details":null}'
    said = json.loads(chat_usage(_outcome(usage, raw=raw), keeps_native_keys=keeps_native_keys, with_cost=True))
    assert said["prompt_tokens"] + said["completion_tokens"] == said["total_tokens"]
    assert said["prompt_tokens"] == usage.input_total
    assert said["completion_tokens"] == usage.output_total


@pytest.mark.requirement("L-8")
def test_prompt_tokens_include_what_was_cached() -> None:
    usage = Usage(
        input_uncached=10, cache_read=5, cache_write_5m=2, cache_write_1h=1, output_text=3, output_reasoning=4
    )
    assert json.loads(chat_usage(_outcome(usage), keeps_native_keys=False, with_cost=False)) == {
        "prompt_tokens": 18,
        "completion_tokens": 7,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
    }


def test_the_keys_of_a_provider_that_speaks_openai_are_kept() -> None:
    raw = b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"queue_time":0.1,"cost":9,'
    raw += b'"completion_tokens_details":{"accepted_prediction_tokens":1}}'
    outcome = _outcome(Usage(input_uncached=3, output_text=2), raw=raw, picousd=1_500_000)
    said = json.loads(chat_usage(outcome, keeps_native_keys=True, with_cost=True), parse_float=Decimal)
    assert said == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "queue_time": Decimal("0.1"),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"accepted_prediction_tokens": 1, "reasoning_tokens": 0, "audio_tokens": 0},
        "cost": Decimal("0.0000015"),
    }


@pytest.mark.requirement("L-11")
@given(st.integers(0, 2**63 - 1))
def test_cost_is_exact_and_spelled_without_an_exponent(picousd: int) -> None:
    body = chat_usage(_outcome(Usage(), picousd=picousd), keeps_native_keys=False, with_cost=True)
    cost = json.loads(body, parse_float=Decimal, parse_int=Decimal)["cost"]
    assert cost == Decimal(picousd) / 10**12
    assert b"e" not in body.rpartition(b'"cost":')[2].lower()


@pytest.mark.requirement("L-11")
def test_an_unknown_price_is_null_and_the_switch_takes_the_cost_away() -> None:
    unpriced = _outcome(Usage(output_text=1), picousd=None)
    assert json.loads(chat_usage(unpriced, keeps_native_keys=False, with_cost=True))["cost"] is None
    assert "cost" not in json.loads(chat_usage(unpriced, keeps_native_keys=False, with_cost=False))


def test_estimates_say_so_and_the_unknown_is_not_zero() -> None:
    estimated = _outcome(Usage(output_text=1), source="estimated")
    unknown = _outcome(Usage(), source="unknown")
    assert json.loads(chat_usage(estimated, keeps_native_keys=False, with_cost=False))["is_estimated"] is True
    assert chat_usage(unknown, keeps_native_keys=False, with_cost=True) == b"null"
    assert embeddings_usage(unknown, keeps_native_keys=False, with_cost=True) == b"null"


def test_embeddings_have_no_completion() -> None:
    raw = b'{"prompt_tokens":5,"prompt_time":0.5}'
    outcome = _outcome(Usage(input_uncached=4), raw=raw, picousd=10**12)
    said = json.loads(embeddings_usage(outcome, keeps_native_keys=False, with_cost=True))
    assert said == {"prompt_tokens": 4, "total_tokens": 4, "cost": 1}
    kept = json.loads(embeddings_usage(outcome, keeps_native_keys=True, with_cost=True))
    assert kept == {"prompt_tokens": 4, "total_tokens": 4, "cost": 1, "prompt_time": 0.5}


@pytest.mark.parametrize(
    ("reported", "with_cost", "said"),
    [
        (b"9", True, 1),
        (b"9", False, 9),
        # Perplexity's own clients read a table
        (b'{"total_cost":1,"request_cost":1}', True, {"total_cost": 1, "request_cost": 1}),
        (b'{"total_cost":1,"request_cost":1}', False, {"total_cost": 1, "request_cost": 1}),
    ],
)
def test_what_a_provider_says_of_the_cost_stays_unless_our_number_takes_its_place(
    reported: bytes, with_cost: bool, said: object
) -> None:
    outcome = _outcome(Usage(input_uncached=3), raw=b'{"cost":%b}' % reported, picousd=10**12)
    assert json.loads(chat_usage(outcome, keeps_native_keys=True, with_cost=with_cost))["cost"] == said


def test_amounts_are_spelled_plainly() -> None:
    assert [usd(Decimal(text)) for text in ("0E-12", "1.500000000000", "100", "1E-12")] == [
        "0",
        "1.5",
        "100",
        "0.000000000001",
    ]
