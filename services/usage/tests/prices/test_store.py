"""The prices that the service ships."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from llm_manager.core.prices import CostState, PriceBook
from llm_manager.core.usage import Usage

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FACTS = files("llm_manager.core").joinpath("provider_facts")
# Left unpriced with a reason in the price file: the datasets differ, or no list price says what is billed.
UNPRICED = {
    "cohere": {"command-a-plus-05-2026", "command-a-reasoning-08-2025", "command-a-vision-07-2025"},
    "groq": {"groq/compound", "groq/compound-mini", "openai/gpt-oss-safeguard-20b", "qwen/qwen3.6-27b"},
    "mistral": {"magistral-medium-latest", "magistral-small-latest", "mistral-large-latest", "open-mistral-nemo"},
    "together": {
        *("BAAI/bge-large-en-v1.5", "deepseek-ai/DeepSeek-R1", "intfloat/multilingual-e5-large-instruct"),
        *("meta-llama/Llama-3.3-70B-Instruct-Turbo", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        *("moonshotai/Kimi-K2-Instruct-0905", "Salesforce/Llama-Rank-v1"),
    },
}


def cost(book: PriceBook, kind: str, model: str) -> tuple[CostState, int | None]:
    if "rerank" in model:
        usage = Usage(search_units=1, requests=1)
    else:
        usage = Usage(input_uncached=1_000_000, output_text=0 if "embed" in model else 1_000_000, requests=1)
    found = book.cost_of(usage, kind=kind, model=model, at=NOW)
    return found.state, found.total_picousd


@pytest.mark.parametrize(
    "kind", ["openai", "anthropic", "gemini", "groq", "mistral", "together", "cohere", "echo", "ollama"]
)
def test_the_models_that_the_facts_name_are_priced_but_for_a_known_few(book: PriceBook, kind: str) -> None:
    models = tomllib.loads(FACTS.joinpath(f"{kind}.toml").read_text("utf-8"))["models"]

    unpriced = {model for model in models if cost(book, kind, model)[0] is CostState.UNPRICED}

    assert unpriced <= UNPRICED.get(kind, set())


@pytest.mark.parametrize("kind", ["openrouter", "deepseek", "custom"])
def test_kinds_without_list_prices_are_unpriced_and_never_free(book: PriceBook, kind: str) -> None:
    assert cost(book, kind, "deepseek-chat") == (CostState.UNPRICED, None)


def test_local_models_are_priced_at_zero_and_the_demo_shows_a_cost(book: PriceBook) -> None:
    assert cost(book, "ollama", "pulled-a-minute-ago:7b") == (CostState.PRICED, 0)
    assert cost(book, "echo", "echo") == (CostState.PRICED, 3 * 10**12)


def test_a_price_that_changed_is_kept_with_the_day_of_its_change(book: PriceBook) -> None:
    one = Usage(input_uncached=1_000_000)
    before, after = datetime(2026, 8, 20, 23, 59, tzinfo=UTC), datetime(2026, 8, 21, tzinfo=UTC)

    costs = [book.cost_of(one, kind="openai", model="gpt-5.6-sol", at=at).total_usd for at in (before, after)]

    assert costs == [10, 8]


def test_every_price_says_where_and_when_it_was_read(book: PriceBook) -> None:
    assert all(price.source and price.checked_on >= price.valid_from for price in book.prices)
    assert len(book.to_json()) < 900_000


@pytest.mark.requirement("L-3")
def test_the_book_that_workers_read_is_the_book_that_was_written(book: PriceBook) -> None:
    read = PriceBook.from_json(book.to_json())

    assert (read.version, read.prices) == (book.version, book.prices)
    assert sum(bool(price.context_tiers) for price in read.prices) > 10
