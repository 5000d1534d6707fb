from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from llm_manager.core.prices import ContextTier, CostState, Price, PriceBook
from llm_manager.core.usage import Usage
from llm_manager.providers.price_book import CurrentPrices

BOOK = b"""{"version": "v7", "note": "ignored", "prices": [{"kind": "openai", "models": ["a", "b"], "valid_from":
"2026-01-01", "rates": {"input_uncached": 150000000000}, "source": "s", "checked_on": "2026-11-24", "new": 1}]}"""
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_published_book_prices_exactly() -> None:
    cost = PriceBook.from_json(BOOK).cost_of(Usage(input_uncached=3), kind="openai", model="b", at=NOW)

    assert (cost.state, cost.total_picousd, cost.price_version) == (CostState.PRICED, 450_000, "v7")


@pytest.mark.requirement("L-3")
def test_a_worker_prices_by_every_rate_of_the_published_book() -> None:
    tier = ContextTier(200_000, {"input_uncached": 5, "output_text": 7})
    rates = {"input_uncached": 3, "output_text": 4}
    price = Price("openai", ("a",), date(2026, 1, 1), rates, "s", date(2026, 2, 1), (tier,))
    prices = CurrentPrices()
    prices.on_change("price_book", PriceBook("v1", [price]).to_json())

    def cost_of(input_uncached: int) -> int | None:
        usage = Usage(input_uncached=input_uncached, output_text=1_000_000)
        return prices.book.cost_of(usage, kind="openai", model="a", at=NOW).total_picousd

    assert prices.book.prices == (price,)
    assert (cost_of(1_000_000), cost_of(100_000)) == (5 + 7, 4)


def test_until_a_book_arrives_everything_is_unpriced_and_not_ready() -> None:
    prices = CurrentPrices()

    assert prices.why_not_ready() is not None
    assert prices.book.cost_of(Usage(output_text=1), kind="openai", model="a", at=NOW).state is CostState.UNPRICED


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"version":"v8"}', BOOK.replace(b"input_uncached", b"inputs")])
def test_broken_book_leaves_the_former_one(broken: bytes) -> None:
    prices = CurrentPrices()
    prices.on_change("price_book", BOOK)
    prices.on_change("price_book", broken)
    prices.on_change("price_book", None)
    prices.on_change("snapshot.apps", broken)

    assert prices.book.version == "v7"
    assert prices.why_not_ready() is None
