from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llm_manager.core.prices import CostState
from llm_manager.core.usage import Usage
from llm_manager.providers.price_book import CurrentPrices, parse_price_book

BOOK = b"""{"version": "v7", "note": "ignored", "prices": [{"kind": "openai", "models": ["a", "b"], "valid_from":
"2026-01-01", "rates": {"input_uncached": 150000000000}, "source": "s", "checked_on": "2026-11-24", "new": 1}]}"""
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_published_book_prices_exactly() -> None:
    cost = parse_price_book(BOOK).cost_of(Usage(input_uncached=3), kind="openai", model="b", at=NOW)

    assert (cost.state, cost.total_picousd, cost.price_version) == (CostState.PRICED, 450_000, "v7")


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
