"""What a call must cost, worked out from the price files with fractions and without any code of the product."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from llm_manager.testing.recordings import Recording

Json = dict[str, Any]
Tier = tuple[int, dict[str, Fraction]]
# by kind and model: tiers by the size of the prompt above which they hold, the plain rates above 0
Rates = dict[tuple[str, str], list[Tier]]

# a provider without a rate of its own for these bills them like the one to the right
_BILLED_LIKE = {
    "output_reasoning": "output_text",
    "cache_read": "input_uncached",
    "cache_write_5m": "input_uncached",
    "cache_write_1h": "cache_write_5m",
    "input_image": "input_uncached",
}
_COUNTS = (
    *("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"),
    *("output_text", "output_reasoning", "output_audio", "output_image", "search_units"),
)
_PICO = Fraction(1, 10**12)
# kinds whose answers may state their cost, and in what: OpenRouter's `cost`, Perplexity's `cost.total_cost`, xAI's
# ticks of a ten-billionth of a dollar; the last word counts
_DOLLARS = (re.compile(r'"(?:cost|total_cost)":\s*([0-9][0-9.eE+-]*)'), Decimal(1))
_STATED = {
    **dict.fromkeys(("openrouter", "custom", "perplexity"), _DOLLARS),
    "xai": (re.compile(r'"cost_in_usd_ticks":\s*([0-9]+)'), Decimal("1e-10")),
}


def read_rates(folder: Path) -> Rates:
    """Return USD per unit by kind and model, the newest price of each."""
    dated: dict[tuple[str, str], tuple[Any, list[Tier]]] = {}
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text())
        for price in document["prices"]:
            tiers = [
                (
                    int(tier.get("above_input_tokens", -1)),
                    {name: Fraction(usd) / 1_000_000 for name, usd in tier["usd_per_million"].items()},
                )
                for tier in [price, *price.get("context_tiers", [])]
            ]
            for model in price["models"]:
                key = (document["kind"], model)
                if key not in dated or dated[key][0] < price["valid_from"]:
                    dated[key] = (price["valid_from"], tiers)
    return {key: tiers for key, (_, tiers) in dated.items()}


def _used(row: Json, recording: Recording) -> dict[str, int]:
    counts = row["usage"]
    if recording.expected.get("billed_input_tokens") is not None:
        # Cohere charges other numbers than it counts
        billed = {name: recording.expected[f"billed_{name}_tokens"] for name in ("input", "output")}
        counts = {**dict.fromkeys(_COUNTS, 0), "input_uncached": billed["input"], "output_text": billed["output"] or 0}
    return {name: counts[name] for name in _COUNTS if counts[name]}


def _stated(kind: str, recording: Recording) -> Decimal | None:
    pattern, unit = _STATED.get(kind, (None, Decimal(1)))
    stated = pattern.findall(recording.body.decode()) if pattern is not None else []
    return (Decimal(stated[-1]) * unit).quantize(Decimal("1e-12")) if stated else None


def independent_cost(rates: Rates, kind: str, model: str, row: Json, recording: Recording) -> Decimal | None:
    """Return what the row must cost; None when it must be unpriced."""
    if (stated := _stated(kind, recording)) is not None:
        return stated
    if row["usage_source"] == "unknown":
        return None
    used = _used(row, recording)
    if not used:
        return Decimal(0)
    tiers = rates.get((kind, model), rates.get((kind, "*")))
    if tiers is None:
        return None
    known: dict[str, Fraction] = {}
    for above, dearer in sorted(tiers, key=lambda tier: tier[0]):
        if row["usage"]["input_total"] > above:
            # the highest tier that is reached holds, over the plain rates
            known = {**(tiers[0][1]), **dearer}
    total = Fraction(0)
    for name, quantity in used.items():
        bucket = name
        while bucket not in known and bucket in _BILLED_LIKE:
            bucket = _BILLED_LIKE[bucket]
        if bucket not in known:
            return None
        # each line is rounded to whole pico-dollars, half to even, as an invoice rounds its lines
        total += round(known[bucket] * quantity / _PICO) * _PICO
    return Decimal(total.numerator) / Decimal(total.denominator)
