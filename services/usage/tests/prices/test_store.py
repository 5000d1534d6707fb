"""The prices that the service ships."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest

from llm_manager.core.prices import CostState, PriceBook
from llm_manager.core.usage import Usage
from llm_manager.kit.settings import SettingsError, load
from llm_manager.usage.app import price_book
from llm_manager.usage.prices.rules import PriceDataError
from llm_manager.usage.prices.store import load_book
from llm_manager.usage.settings import UsageSettings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FACTS = files("llm_manager.core").joinpath("provider_facts")
# Left unpriced with a reason in the price file: the datasets differ, or no list price says what is billed.
UNPRICED = {
    "cohere": {"command-a-plus-05-2026", "command-a-reasoning-08-2025", "command-a-vision-07-2025"},
    # priced by tokens, where this test counts searches
    "fireworks": {"accounts/fireworks/models/qwen3-reranker-8b"},
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
    "kind",
    [
        *("openai", "anthropic", "gemini", "groq", "mistral", "together", "cohere", "echo", "ollama"),
        *("xai", "fireworks", "cerebras", "vllm", "llamacpp", "lmstudio"),
    ],
)
def test_the_models_that_the_facts_name_are_priced_but_for_a_known_few(book: PriceBook, kind: str) -> None:
    models = tomllib.loads(FACTS.joinpath(f"{kind}.toml").read_text("utf-8"))["models"]

    unpriced = {model for model in models if cost(book, kind, model)[0] is CostState.UNPRICED}

    assert unpriced <= UNPRICED.get(kind, set())


@pytest.mark.parametrize("kind", ["openrouter", "deepseek", "custom", "perplexity", "nvidia"])
def test_kinds_without_list_prices_are_unpriced_and_never_free(book: PriceBook, kind: str) -> None:
    assert cost(book, kind, "deepseek-chat") == (CostState.UNPRICED, None)


@pytest.mark.requirement("S21")
@pytest.mark.parametrize("kind", ["ollama", "vllm", "llamacpp", "lmstudio"])
def test_local_models_are_priced_at_zero(book: PriceBook, kind: str) -> None:
    assert cost(book, kind, "pulled-a-minute-ago:7b") == (CostState.PRICED, 0)


def test_the_demo_shows_a_cost(book: PriceBook) -> None:
    assert cost(book, "echo", "echo") == (CostState.PRICED, 3 * 10**12)


def test_a_price_that_changed_is_kept_with_the_day_of_its_change(book: PriceBook) -> None:
    one = Usage(input_uncached=1_000_000)
    before, after = datetime(2026, 8, 20, 23, 59, tzinfo=UTC), datetime(2026, 8, 21, tzinfo=UTC)

    costs = [book.cost_of(one, kind="openai", model="gpt-5.6-sol", at=at).total_usd for at in (before, after)]

    assert costs == [10, 8]


def test_every_price_says_where_and_when_it_was_read(book: PriceBook) -> None:
    assert all(price.source and price.checked_on >= price.valid_from for price in book.prices)
    assert len(book.to_json()) < 900_000


OWN = """
kind = "{kind}"
checked_on = 2026-11-20
[[prices]]
models = ["{model}"]
valid_from = {day}
source = "our contract"
usd_per_million = {{ input_uncached = "0.5", output_text = "1.5" }}
"""


def own(folder: Path, kind: str, model: str, day: str = "2026-01-01") -> Path:
    file = folder / f"{kind}.toml"
    file.write_text(OWN.format(kind=kind, model=model, day=day))
    return file


def test_a_custom_provider_is_priced_by_a_file_of_the_owner(book: PriceBook, tmp_path: Path) -> None:
    with_own = load_book(own(tmp_path, "custom", "llama-at-home"))

    assert cost(book, "custom", "llama-at-home") == (CostState.UNPRICED, None)
    assert cost(with_own, "custom", "llama-at-home") == (CostState.PRICED, 2 * 10**12)
    assert cost(with_own, "custom", "another") == (CostState.UNPRICED, None)
    assert with_own.version != book.version
    assert len(with_own.prices) == len(book.prices) + 1


def test_a_folder_may_hold_a_file_for_each_kind(tmp_path: Path) -> None:
    own(tmp_path, "custom", "*")
    own(tmp_path, "acme", "acme-large")
    book = load_book(tmp_path)

    assert cost(book, "custom", "any")[1] == cost(book, "acme", "acme-large")[1] == 2 * 10**12


def test_an_own_price_replaces_ours_from_its_day_on_and_for_its_model_only(book: PriceBook, tmp_path: Path) -> None:
    with_own = load_book(own(tmp_path, "openai", "gpt-5.6-sol", "2026-08-10"))
    one = Usage(input_uncached=1_000_000)
    days = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((8, 9), (8, 10), (8, 21), (11, 24))]

    costs = [with_own.cost_of(one, kind="openai", model="gpt-5.6-sol", at=at).total_usd for at in days]

    assert costs == [10, Decimal("0.5"), Decimal("0.5"), Decimal("0.5")]
    assert cost(with_own, "openai", "gpt-4o") == cost(book, "openai", "gpt-4o")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "prices.toml cannot be read: No such file or directory"),
        ("kind = 3", "prices.toml: "),
        (OWN.format(kind="custom", model="m", day="2026-01-01").replace('"0.5"', '"cheap"'), "no amount of USD"),
        (OWN.format(kind="custom", model="m", day="2026-01-01").replace("output_text", "words"), "unknown buckets"),
    ],
)
def test_a_wrong_file_of_the_owner_stops_the_start_with_its_name(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    if text is not None:
        file.write_text(text)
    settings = load(
        UsageSettings, {"LLM_MANAGER_USAGE_CLICKHOUSE_DSN": "x", "LLM_MANAGER_USAGE_PRICE_FILES": str(file)}
    )

    with pytest.raises(SettingsError, match="LLM_MANAGER_USAGE_PRICE_FILES: ") as refusal:
        price_book(settings)

    assert said in str(refusal.value)


def test_a_folder_without_price_files_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PriceDataError, match=r"no file that ends in \.toml"):
        load_book(tmp_path)


@pytest.mark.requirement("L-3")
def test_the_book_that_workers_read_is_the_book_that_was_written(book: PriceBook) -> None:
    read = PriceBook.from_json(book.to_json())

    assert (read.version, read.prices) == (book.version, book.prices)
    assert sum(bool(price.context_tiers) for price in read.prices) > 10
