"""The price book as it is published in KV `config`, key `price_book`."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec
import structlog

from llm_manager.core.prices import Price, PriceBook

KEY: Final = "price_book"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class _Price(msgspec.Struct):
    kind: str
    models: tuple[str, ...]
    valid_from: date
    rates: dict[str, int]
    source: str = ""
    checked_on: date = date.min


class _Book(msgspec.Struct):
    version: str
    prices: list[_Price]


def parse_price_book(data: bytes) -> PriceBook:
    """Read the published form; fields of newer versions are ignored.

    Raises:
        ValueError: not a price book.
    """
    try:
        book = msgspec.json.decode(data, type=_Book)
    except msgspec.DecodeError as error:
        raise ValueError(f"the price book cannot be read: {error}") from error
    return PriceBook(
        book.version,
        [
            Price(
                kind=price.kind,
                models=price.models,
                valid_from=price.valid_from,
                rates=price.rates,
                source=price.source,
                checked_on=price.checked_on,
            )
            for price in book.prices
        ],
    )


class CurrentPrices:
    """The latest good price book. A broken one is logged and the former stays: a wrong brace must not unprice all."""

    def __init__(self) -> None:
        self._book: PriceBook | None = None

    @property
    def book(self) -> PriceBook:
        """The book; an empty one before the first arrives, under which everything is unpriced."""
        return self._book or PriceBook("", ())

    def why_not_ready(self) -> str | None:
        """Return why pricing cannot work yet, None when it can."""
        return None if self._book is not None else "no price book has arrived in KV config; the usage service writes it"

    def on_change(self, key: str, value: bytes | None) -> None:
        """Take a change of the bucket. A deletion keeps the former book."""
        if key != KEY or value is None:
            return
        try:
            self._book = parse_price_book(value)
        except ValueError as error:
            log.error("price_book_refused", error=str(error))  # noqa: TRY400 (the text says it all)
        else:
            log.info("price_book_loaded", version=self._book.version, prices=len(self._book.prices))
