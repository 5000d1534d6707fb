"""The price book as it is published in KV `config`, key `price_book`."""

from __future__ import annotations

import structlog

from llm_manager.core.prices import PriceBook
from llm_manager.kit.bus.names import KEY_PRICE_BOOK

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


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
        if key != KEY_PRICE_BOOK or value is None:
            return
        try:
            self._book = PriceBook.from_json(value)
        except ValueError as error:
            log.error("price_book_refused", error=str(error))  # noqa: TRY400 (the text says it all)
        else:
            log.info("price_book_loaded", version=self._book.version, prices=len(self._book.prices))
