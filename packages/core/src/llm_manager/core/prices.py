"""Rates, and the exact cost of counted usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from llm_manager.core.usage import BUCKETS, Usage

PICOUSD_PER_USD = 1_000_000_000_000
# The ledger holds Decimal(38, 12) and the wire int64 pico-dollars: 60 digits hold every product of a uint64 count and
# an int64 rate (39 digits) exactly.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MAX_INT64 = 2**63 - 1


class CostState(StrEnum):
    """How the money of an attempt was determined."""

    PRICED = "priced"
    REPORTED = "reported"
    UNPRICED = "unpriced"


class PriceLine(msgspec.Struct, frozen=True):
    """One term of a cost: `amount_picousd = quantity * rate / 1e6`, rounded half to even."""

    bucket: str
    quantity: int
    rate_picousd_per_million: int
    amount_picousd: int

    @property
    def adds_up(self) -> bool:
        """Whether the amount is the exact product of quantity and rate."""
        return self.amount_picousd == _amount(self.quantity, self.rate_picousd_per_million)


class Cost(msgspec.Struct, frozen=True):
    """The money of one attempt; `total_picousd` is None exactly when the state is unpriced."""

    state: CostState
    total_picousd: int | None
    lines: tuple[PriceLine, ...] = ()
    price_version: str = ""

    @property
    def total_usd(self) -> Decimal | None:
        """The total in USD with 12 places, None when unknown."""
        return None if self.total_picousd is None else Decimal(self.total_picousd).scaleb(-12, _EXACT)


@dataclass(frozen=True, slots=True)
class ContextTier:
    """Rates of prompts longer than `above_input_tokens`, for the whole request; a bucket not named keeps its rate."""

    above_input_tokens: int
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Price:
    """Rates of one model from one day on.

    Args:
        kind: provider kind whose model it is.
        models: names that the provider answers to, exact; a dated name is listed, never guessed. `ANY_MODEL` stands
            for every model of the kind that has no price of its own: for kinds that run on one's own machine.
        valid_from: first day, UTC, on which the rates hold.
        rates: bucket to pico-dollars for a million units. A bucket without a rate has none: using it makes the
            attempt unpriced, unless `FALLS_BACK` names the bucket whose rate it shares.
        source: where the rates were read.
        checked_on: when.
        context_tiers: dearer rates of long prompts, in any order.
    """

    kind: str
    models: tuple[str, ...]
    valid_from: date
    rates: Mapping[str, int]
    source: str
    checked_on: date
    context_tiers: tuple[ContextTier, ...] = ()

    def rates_for(self, usage: Usage) -> Mapping[str, int]:
        """Return the rates of a request of this size."""
        reached = [tier for tier in self.context_tiers if usage.input_total > tier.above_input_tokens]
        if not reached:
            return self.rates
        return {**self.rates, **max(reached, key=lambda tier: tier.above_input_tokens).rates}


ANY_MODEL = "*"
# A provider that lists no rate of its own for these bills them like the bucket to the right.
FALLS_BACK: Mapping[str, str] = {
    "output_reasoning": "output_text",
    "cache_read": "input_uncached",
    "cache_write_5m": "input_uncached",
    "cache_write_1h": "cache_write_5m",
    "input_image": "input_uncached",
}
# Counted for statistics; free unless a price says otherwise.
_FREE_WITHOUT_RATE = frozenset({"requests"})


class _Book(msgspec.Struct):
    version: str
    prices: tuple[Price, ...]


class PriceBook:
    """Every known price, by kind and model, effective from a day."""

    def __init__(self, version: str, prices: Iterable[Price]) -> None:
        """Index prices.

        Raises:
            ValueError: a rate is negative, over int64 or of no known bucket, or a model has two prices of one day.
        """
        self.version = version
        self.prices = tuple(prices)
        self._by_model: dict[tuple[str, str], list[Price]] = {}
        for price in self.prices:
            for rates in (price.rates, *(tier.rates for tier in price.context_tiers)):
                _check_rates(price, rates)
            for model in price.models:
                self._by_model.setdefault((price.kind, model), []).append(price)
        for (kind, model), versions in self._by_model.items():
            versions.sort(key=lambda p: p.valid_from, reverse=True)
            if len({p.valid_from for p in versions}) != len(versions):
                raise ValueError(f"{kind}/{model} has two prices that are valid from the same day")

    @classmethod
    def from_json(cls, data: bytes) -> PriceBook:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no price book, or breaks a rule of the constructor.
        """
        try:
            book = msgspec.json.decode(data, type=_Book)
        except msgspec.MsgspecError as error:
            raise ValueError(f"this is no price book: {error}") from error
        return cls(book.version, book.prices)

    def to_json(self) -> bytes:
        """Write the book as JSON: `{"version", "prices": [{kind, models, valid_from, rates, source, checked_on}]}`.

        Equal books give equal bytes, so comparing them tells whether a book changed.
        """
        return msgspec.json.encode(_Book(self.version, self.prices), order="sorted")

    def lists(self, kind: str, model: str) -> bool:
        """Whether the book names the model itself; `ANY_MODEL` names none."""
        return (kind, model) in self._by_model

    def find(self, kind: str, model: str, *, at: datetime) -> Price | None:
        """Return the price that holds at an instant, None when there is none.

        Raises:
            ValueError: `at` has no time zone, so its day is anybody's guess.
        """
        if at.tzinfo is None:
            raise ValueError("the instant needs a time zone")
        day = at.astimezone(UTC).date()
        known = (*self._by_model.get((kind, model), ()), *self._by_model.get((kind, ANY_MODEL), ()))
        return next((p for p in known if p.valid_from <= day), None)

    def cost_of(
        self, usage: Usage, *, kind: str, model: str, at: datetime, reported_cost_usd: str | None = None
    ) -> Cost:
        """Return what an attempt cost.

        The provider's own report wins; one that is no amount of money counts as none. Nothing used costs nothing,
        whether or not the model has a price. Anything used without a rate makes the whole attempt unpriced, because a
        part of a cost is a wrong cost.
        """
        reported = None if reported_cost_usd is None else _picousd(reported_cost_usd)
        if reported is not None:
            return Cost(CostState.REPORTED, reported)
        unpriced = Cost(CostState.UNPRICED, None, (), self.version)
        quantities = [(name, getattr(usage, name)) for name in BUCKETS if getattr(usage, name)]
        price = self.find(kind, model, at=at)
        rates: Mapping[str, int] = {} if price is None else price.rates_for(usage)
        lines: list[PriceLine] = []
        for name, quantity in quantities:
            rate = _rate(rates, name)
            if rate is not None:
                lines.append(PriceLine(name, quantity, rate, _amount(quantity, rate)))
            elif name not in _FREE_WITHOUT_RATE:
                return unpriced
        total = sum(line.amount_picousd for line in lines)
        # int64 pico-dollars end at $9.2 million for one attempt; what does not fit cannot be told truthfully.
        return Cost(CostState.PRICED, total, tuple(lines), self.version) if total <= _MAX_INT64 else unpriced


def _check_rates(price: Price, rates: Mapping[str, int]) -> None:
    unknown = set(rates) - set(BUCKETS)
    if unknown:
        raise ValueError(f"price of {price.models} names unknown buckets {sorted(unknown)}")
    outside = sorted(name for name, rate in rates.items() if not 0 <= rate <= _MAX_INT64)
    if outside:
        raise ValueError(f"price of {price.models} has rates outside of int64 for {outside}")


def _rate(rates: Mapping[str, int], bucket: str) -> int | None:
    while bucket not in rates:
        if bucket not in FALLS_BACK:
            return None
        bucket = FALLS_BACK[bucket]
    return rates[bucket]


def _amount(quantity: int, rate_picousd_per_million: int) -> int:
    """Half to even, in integers: 0.09 us where Decimal takes 0.32 (2026-11)."""
    whole, rest = divmod(quantity * rate_picousd_per_million, 1_000_000)
    return whole + (rest > 500_000 or (rest == 500_000 and whole % 2 == 1))


def _picousd(usd: str) -> int | None:
    """Return decimal text as whole pico-dollars; None for what is negative, no number, or over int64."""
    try:
        amount = Decimal(usd)
        if not amount.is_finite() or amount < 0 or amount.adjusted() > 7:
            return None
        picousd = int(_EXACT.quantize(amount.scaleb(12, _EXACT), Decimal(1)))
    except InvalidOperation:
        return None
    return picousd if picousd <= _MAX_INT64 else None
