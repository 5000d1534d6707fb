"""Price files as people write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from llm_manager.core.prices import PICOUSD_PER_USD, ContextTier, Price
from llm_manager.usage.prices.rules import PriceDataError, make_book, read_file

HEAD = 'kind = "k"\npage = "https://example.com/prices"\nchecked_on = 2026-11-24\n'
ONE = '[[prices]]\nmodels = ["m"]\nvalid_from = 2026-01-01\nsource = "a list"\n'


def test_a_file_becomes_prices_in_whole_picodollars() -> None:
    tier = (
        "[[prices.context_tiers]]\nabove_input_tokens = 200_000\n" + 'usd_per_million = { input_uncached = "0.30" }\n'
    )
    text = HEAD + ONE + 'usd_per_million = { input_uncached = "0.15", output_text = "0.6" }\n' + tier

    assert read_file("k.toml", text.encode()) == [
        Price(
            kind="k",
            models=("m",),
            valid_from=date(2026, 1, 1),
            rates={"input_uncached": 150_000_000_000, "output_text": 600_000_000_000},
            source="a list; https://example.com/prices",
            checked_on=date(2026, 11, 24),
            context_tiers=(ContextTier(200_000, {"input_uncached": int(Decimal("0.3") * PICOUSD_PER_USD)}),),
        )
    ]


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ("{ input_uncached = 0.15 }", "Expected `str`, got `float`"),
        ('{ input_uncached = "cheap" }', "'cheap' is no amount of USD"),
        ('{ input_uncached = "NaN" }', "'NaN' is no amount of USD"),
        ('{ input_uncached = "0.0000000000001" }', "more than 12 places"),
        ('{ input_uncached = "1" }\nvalid_untl = 2027-01-01', "valid_untl"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(rates: str, said: str) -> None:
    with pytest.raises(PriceDataError, match=r"^k\.toml: ") as refusal:
        read_file("k.toml", f"{HEAD}{ONE}usd_per_million = {rates}\n".encode())

    assert said in str(refusal.value)


def test_a_rate_of_an_unknown_bucket_or_below_zero_makes_no_book() -> None:
    for rates in ('{ output_words = "1" }', '{ output_text = "-1" }'):
        prices = read_file("k.toml", f"{HEAD}{ONE}usd_per_million = {rates}\n".encode())
        with pytest.raises(PriceDataError, match="price of"):
            make_book(prices)


def test_equal_books_have_equal_versions_and_others_do_not() -> None:
    def version(rate: str) -> str:
        text = f'{HEAD}{ONE}usd_per_million = {{ output_text = "{rate}" }}\n'
        return make_book(read_file("k.toml", text.encode())).version

    assert version("1") == version("1")
    assert version("1") != version("2")
    assert version("1").startswith("2026-11-24.")


def test_a_book_that_the_bus_cannot_carry_is_refused() -> None:
    price = Price("k", tuple(f"{'m' * 1000}{n}" for n in range(1000)), date(2026, 1, 1), {}, "s", date(2026, 1, 1))

    with pytest.raises(PriceDataError, match="the bus takes 900000"):
        make_book([price])
