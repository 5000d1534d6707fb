"""Price data as people write it, into the price book."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation

import msgspec

from llm_manager.core.prices import PICOUSD_PER_USD, ContextTier, Price, PriceBook

# A KV value must fit into one message of the bus, which takes 1 MB unless told otherwise.
MAX_BOOK_BYTES = 900_000


class PriceDataError(ValueError):
    """A price file is wrong; the message names the file and what to correct."""


class _Rates(msgspec.Struct, forbid_unknown_fields=True):
    usd_per_million: dict[str, str]
    above_input_tokens: int


class _Price(msgspec.Struct, forbid_unknown_fields=True):
    models: tuple[str, ...]
    valid_from: date
    source: str
    usd_per_million: dict[str, str]
    context_tiers: tuple[_Rates, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    checked_on: date
    prices: tuple[_Price, ...]
    page: str = ""


def read_file(name: str, text: bytes) -> list[Price]:
    """Return the prices of one file: of `data/`, or one's own of the same form.

    Raises:
        PriceDataError: it is no TOML of the known form, or an amount is no number.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
        return [
            Price(
                kind=file.kind,
                models=price.models,
                valid_from=price.valid_from,
                rates=_rates(price.usd_per_million),
                source="; ".join(filter(None, (price.source, file.page))),
                checked_on=file.checked_on,
                context_tiers=tuple(
                    ContextTier(tier.above_input_tokens, _rates(tier.usd_per_million)) for tier in price.context_tiers
                ),
            )
            for price in file.prices
        ]
    except (msgspec.MsgspecError, PriceDataError) as error:
        raise PriceDataError(f"{name}: {error}") from error


def with_own(listed: Iterable[Price], own: Iterable[Price]) -> list[Price]:
    """Return list prices and own ones; an own price takes the place of the model's list prices from its day on."""
    own = list(own)
    begins: dict[tuple[str, str], date] = {}
    for price in own:
        for model in price.models:
            key = price.kind, model
            begins[key] = min(price.valid_from, begins.get(key, date.max))
    kept: list[Price] = []
    for price in listed:
        models = tuple(m for m in price.models if price.valid_from < begins.get((price.kind, m), date.max))
        if models:
            kept.append(replace(price, models=models))
    return kept + own


def make_book(prices: Iterable[Price]) -> PriceBook:
    """Return a book whose version is the newest day of a check and a hash of everything in it.

    So two books of one version are equal, and an event's version says exactly which rates it was priced with.

    Raises:
        PriceDataError: a rule of `PriceBook` is broken, or the book is too large for the bus.
    """
    try:
        nameless = PriceBook("", prices)
    except ValueError as error:
        raise PriceDataError(str(error)) from error
    text = nameless.to_json()
    if len(text) > MAX_BOOK_BYTES:
        raise PriceDataError(f"the book has {len(text)} bytes; the bus takes {MAX_BOOK_BYTES}")
    checked_on = max((price.checked_on for price in nameless.prices), default=date(1970, 1, 1))
    return PriceBook(f"{checked_on}.{hashlib.sha256(text).hexdigest()[:8]}", nameless.prices)


def _rates(usd_per_million: Mapping[str, str]) -> dict[str, int]:
    return {bucket: _picousd(amount) for bucket, amount in usd_per_million.items()}


def _picousd(usd: str) -> int:
    try:
        picousd = Decimal(usd) * PICOUSD_PER_USD
        whole = int(picousd)
    except (InvalidOperation, ValueError, OverflowError):
        raise PriceDataError(f"{usd!r} is no amount of USD") from None
    if whole != picousd:
        raise PriceDataError(f"{usd!r} has more than 12 places")
    return whole
