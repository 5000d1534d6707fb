"""Money is exact: the worked examples of other gateways' issues, and what must hold for every price and count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.prices import (
    ANY_MODEL,
    FALLS_BACK,
    PICOUSD_PER_USD,
    ContextTier,
    Cost,
    CostState,
    Price,
    PriceBook,
    PriceLine,
)
from llm_manager.core.usage import BUCKETS, Usage

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANY_RATE = st.integers(0, 10**15)
ANY_COUNT = st.integers(0, 10**12)
ANY_USAGE = st.builds(Usage, **dict.fromkeys(BUCKETS, ANY_COUNT))
ANY_RATES = st.fixed_dictionaries(dict.fromkeys(BUCKETS, ANY_RATE))


def per_million(**usd: str) -> dict[str, int]:
    return {bucket: int(Decimal(amount) * PICOUSD_PER_USD) for bucket, amount in usd.items()}


def price(rates: dict[str, int], *, models: tuple[str, ...] = ("m",), valid_from: date = date(2025, 1, 1)) -> Price:
    return Price("k", models, valid_from, rates, "a test", date(2026, 11, 24))


def book(*prices: Price) -> PriceBook:
    return PriceBook("2026-11-24.1", prices)


def cost(rates: dict[str, int], usage: Usage) -> Cost:
    return book(price(rates)).cost_of(usage, kind="k", model="m", at=AT)


EXAMPLES = [
    pytest.param(
        per_million(input_uncached="1.25", cache_read="0.625", output_text="10"),
        Usage(input_uncached=262_960 - 257_955, cache_read=257_955, output_text=1_744),
        "0.184918",
        marks=pytest.mark.requirement("L-6"),
        id="cached tokens of Gemini are charged once",
    ),
    pytest.param(
        per_million(input_uncached="3", cache_write_5m="3.75", output_text="15"),
        Usage(input_uncached=3, cache_write_5m=12_304, output_text=550),
        "0.054399",
        marks=pytest.mark.requirement("L-7"),
        id="cache writes of Anthropic are charged once",
    ),
    pytest.param(
        per_million(input_uncached="1.25", cache_read="0.125", output_text="10"),
        Usage(input_uncached=51_232, cache_read=1_188_096, output_text=12_909),
        "0.341642",
        marks=pytest.mark.requirement("B-1"),
        id="cached tokens are not billed as input",
    ),
]


@pytest.mark.parametrize(("rates", "usage", "expected_usd"), EXAMPLES)
def test_worked_examples_of_issues_come_out_to_the_last_digit(
    rates: dict[str, int], usage: Usage, expected_usd: str
) -> None:
    total = cost(rates, usage).total_usd

    assert total is not None
    # the issues round to six places; ours has all of them, so it is compared with the exact sum too
    assert f"{total:.6f}" == expected_usd
    exact = sum(Fraction(rates[name]) * getattr(usage, name) for name in rates) / 10**6 / PICOUSD_PER_USD
    assert Fraction(total) == exact


@pytest.mark.requirement("L-8")
def test_every_token_is_priced_in_the_one_bucket_it_is_in() -> None:
    rates = {name: 10**6 * 13**position for position, name in enumerate(BUCKETS)}
    usage = Usage(**{name: position + 1 for position, name in enumerate(BUCKETS)})

    assert cost(rates, usage).lines == tuple(
        PriceLine(name, position + 1, rates[name], (position + 1) * 13**position)
        for position, name in enumerate(BUCKETS)
    )


@given(ANY_RATES, ANY_USAGE)
def test_the_total_is_the_sum_of_its_lines_and_never_negative(rates: dict[str, int], usage: Usage) -> None:
    found = cost(rates, usage)

    if found.total_picousd is None:  # above $9.2 million for one attempt, which int64 cannot hold
        assert sum(Fraction(rates[name]) * getattr(usage, name) for name in BUCKETS) / 10**6 > 2**63 - 20
        return
    assert found.total_picousd == sum(line.amount_picousd for line in found.lines)
    assert found.total_picousd >= 0
    assert all(line.adds_up for line in found.lines)


@given(ANY_RATES, ANY_USAGE, st.sampled_from(BUCKETS), st.integers(1, 10**9))
def test_more_use_never_costs_less(rates: dict[str, int], usage: Usage, bucket: str, more: int) -> None:
    less, larger = cost(rates, usage), cost(rates, usage + Usage(**{bucket: more}))

    if less.total_picousd is not None and larger.total_picousd is not None:
        assert larger.total_picousd >= less.total_picousd


@given(ANY_RATE, st.integers(0, 10**12))
def test_a_line_is_the_rounded_product(rate: int, quantity: int) -> None:
    found = cost({"output_text": rate}, Usage(output_text=quantity))

    if found.total_picousd is not None:
        assert found.total_picousd == round(Fraction(rate * quantity, 10**6))  # half to even, as Python's own


@pytest.mark.requirement("S94")
def test_a_million_one_token_calls_sum_to_the_exact_product() -> None:
    one = cost(per_million(input_uncached="0.15"), Usage(input_uncached=1)).total_usd

    assert one is not None
    assert sum((one for _ in range(1_000_000)), start=Decimal(0)) == Decimal("0.15")


def test_a_total_has_twelve_places() -> None:
    assert str(Cost(CostState.PRICED, 1).total_usd) == "1E-12"
    assert f"{Cost(CostState.PRICED, 2**63 - 1).total_usd:f}" == "9223372.036854775807"
    assert Cost(CostState.UNPRICED, None).total_usd is None


@pytest.mark.parametrize(("bucket", "like"), FALLS_BACK.items())
def test_a_bucket_without_a_rate_is_billed_like_the_one_it_falls_back_to(bucket: str, like: str) -> None:
    found = cost({like: 5 * 10**6}, Usage(**{bucket: 3}))

    assert found.lines == (PriceLine(bucket, 3, 5 * 10**6, 15),)


def test_a_bucket_with_its_own_rate_does_not_fall_back() -> None:
    rates = {"input_uncached": 10**6, "cache_read": 0}

    assert cost(rates, Usage(input_uncached=1, cache_read=9)).total_picousd == 1


def test_audio_never_falls_back_to_the_cheaper_price_of_text() -> None:
    rates = per_million(input_uncached="1", output_text="1")

    assert cost(rates, Usage(input_uncached=5, input_audio=1)) == Cost(CostState.UNPRICED, None, (), "2026-11-24.1")


def test_requests_are_free_unless_the_price_names_them() -> None:
    usage = Usage(input_uncached=1, requests=1)

    assert cost({"input_uncached": 10**6}, usage).total_picousd == 1
    assert cost({"input_uncached": 10**6, "requests": 5 * 10**6}, usage).total_picousd == 6


def test_an_unknown_price_is_unknown_and_not_zero() -> None:
    found = book().cost_of(Usage(output_text=1), kind="k", model="m", at=AT)

    assert found == Cost(CostState.UNPRICED, None, (), "2026-11-24.1")


def test_what_used_nothing_costs_nothing_with_or_without_a_price() -> None:
    expected = Cost(CostState.PRICED, 0, (), "2026-11-24.1")

    assert book().cost_of(Usage(), kind="k", model="m", at=AT) == expected
    assert book().cost_of(Usage(requests=1), kind="k", model="m", at=AT) == expected


def test_an_explicit_zero_is_priced() -> None:
    found = cost({"input_uncached": 0, "output_text": 0}, Usage(input_uncached=9, output_text=9))

    assert (found.state, found.total_picousd, len(found.lines)) == (CostState.PRICED, 0, 2)


def test_the_wildcard_prices_every_model_that_has_no_price_of_its_own() -> None:
    both = book(price({"output_text": 0}, models=(ANY_MODEL,)), price({"output_text": 10**6}))

    def total(kind: str, model: str) -> int | None:
        return both.cost_of(Usage(output_text=2), kind=kind, model=model, at=AT).total_picousd

    assert [total("k", "m"), total("k", "pulled-today"), total("other", "m")] == [2, 0, None]


@pytest.mark.requirement("L-2")
def test_the_price_is_found_by_the_upstream_model_and_never_by_an_alias() -> None:
    priced = book(price({"output_text": 10**6}, models=("gpt-4o-2024-08-06",)))

    def total(model: str) -> int | None:
        return priced.cost_of(Usage(output_text=2), kind="k", model=model, at=AT).total_picousd

    assert [total("gpt-4o-2024-08-06"), total("my-alias"), total("gpt-4o"), total("gpt-4o-2024-08")] == [
        2,
        None,
        None,
        None,
    ]


def test_a_price_holds_from_its_first_day_in_utc_on() -> None:
    changed = book(
        price({"output_text": 10**6}, valid_from=date(2026, 1, 1)),
        price({"output_text": 2 * 10**6}, valid_from=date(2026, 6, 1)),
    )

    def total(at: datetime) -> int | None:
        return changed.cost_of(Usage(output_text=1), kind="k", model="m", at=at).total_picousd

    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    assert total(datetime(2025, 12, 31, 23, 59, tzinfo=UTC)) is None
    assert (total(midnight - timedelta(microseconds=1)), total(midnight)) == (1, 2)
    # 01:59 in Berlin is 23:59 of the day before in UTC
    assert total(datetime(2026, 6, 1, 1, 59, tzinfo=timezone(timedelta(hours=2)))) == 1


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        book().find("k", "m", at=datetime(2026, 1, 1))  # noqa: DTZ001 (the point of the test)


def test_long_prompts_cost_more_as_a_whole() -> None:
    tiers = (ContextTier(200_000, {"input_uncached": 2 * 10**6}), ContextTier(500_000, {"input_uncached": 4 * 10**6}))
    tiered = book(replace(price({"input_uncached": 10**6, "output_text": 10**6}), context_tiers=tiers))

    def total(uncached: int, cached: int) -> int | None:
        usage = Usage(input_uncached=uncached, cache_read=cached, output_text=1)
        return tiered.cost_of(usage, kind="k", model="m", at=AT).total_picousd

    # cached tokens count towards the length; output keeps its rate, because no tier names it
    assert [total(200_000, 0), total(200_000, 1)] == [200_001, 400_003]
    assert total(500_001, 0) == 2_000_005


@pytest.mark.parametrize(
    ("said", "picousd"), [("0", 0), ("0.00014", 140_000_000), ("1e-12", 1), ("5E-13", 0), ("2", 2 * 10**12)]
)
def test_the_providers_own_cost_wins(said: str, picousd: int) -> None:
    found = book(price({"output_text": 10**6})).cost_of(
        Usage(output_text=1), kind="k", model="m", at=AT, reported_cost_usd=said
    )

    assert found == Cost(CostState.REPORTED, picousd)


@pytest.mark.parametrize("said", ["", "free", "NaN", "-0.1", "Infinity", "1e9", "99999999", "1e999999999"])
def test_a_reported_cost_that_is_no_amount_counts_as_none(said: str) -> None:
    found = book(price({"output_text": 10**6})).cost_of(
        Usage(output_text=1), kind="k", model="m", at=AT, reported_cost_usd=said
    )

    assert (found.state, found.total_picousd) == (CostState.PRICED, 1)


def test_a_cost_beyond_the_wire_is_unknown() -> None:
    assert cost({"output_text": 2**63 - 1}, Usage(output_text=10**7)).state is CostState.UNPRICED


def test_a_book_survives_the_wire_byte_for_byte() -> None:
    tier = ContextTier(200_000, {"input_uncached": 3})
    original = book(
        replace(price({"input_uncached": 2, "output_text": 1}), context_tiers=(tier,)), price({}, models=("n",))
    )

    copy = PriceBook.from_json(original.to_json())

    assert (copy.version, copy.prices) == (original.version, original.prices)
    assert copy.to_json() == original.to_json()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"version":"1"}',
        b'{"version":"1","prices":[{"kind":"k","models":["m"],"valid_from":"2026-01-01","rates":{"output_text":0.5},'
        b'"source":"s","checked_on":"2026-01-01"}]}',
        b'{"version":"1","prices":[{"kind":"k","models":["m"],"valid_from":"2026-01-01","rates":{"output_txt":5},'
        b'"source":"s","checked_on":"2026-01-01"}]}',
    ],
)
def test_text_that_is_no_book_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"price|book"):
        PriceBook.from_json(text)


@pytest.mark.parametrize("rates", [{"output_text": -1}, {"output_text": 2**63}, {"output_words": 1}])
def test_rates_that_mean_nothing_are_refused(rates: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="price of"):
        book(price(rates))
    with pytest.raises(ValueError, match="price of"):
        book(replace(price({}), context_tiers=(ContextTier(1, rates),)))


def test_two_prices_of_one_model_from_one_day_are_refused() -> None:
    with pytest.raises(ValueError, match="k/m has two prices"):
        book(price({"output_text": 1}), price({"output_text": 2}))
