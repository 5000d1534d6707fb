"""Price books: the files that come with the service, and every book that was ever published here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from llm_manager.core.prices import Price, PriceBook
from llm_manager.kit.clickhouse import ClickHouse
from llm_manager.usage.prices.rules import PriceDataError, make_book, read_file, with_own

DATA = Path(__file__).with_name("data")
_MAX_KNOWN: Final = 64
_SELECT: Final = "SELECT version, any(book) FROM usage.price_books WHERE version IN {versions:Array(String)} GROUP BY 1"


def load_book(own: Path | None = None) -> PriceBook:
    """Read the price files that come with the service.

    Args:
        own: a price file of the owner, or a folder of them; what it prices is no longer priced by ours.

    Raises:
        PriceDataError: a file or the whole is wrong, or `own` cannot be read; the message names the file.
    """
    listed = _read(DATA)
    return make_book(listed if own is None else with_own(listed, _read(own)))


def _read(path: Path) -> list[Price]:
    try:
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not files:
            raise PriceDataError(f"{path} holds no file that ends in .toml")
        return [price for file in files for price in read_file(file.name, file.read_bytes())]
    except OSError as error:
        raise PriceDataError(f"{path} cannot be read: {error.strerror}") from error


class PriceBooks:
    """Books by version. The current one is kept in ClickHouse, so that later versions of the service know it too."""

    def __init__(self, clickhouse: ClickHouse, current: PriceBook) -> None:
        self._clickhouse = clickhouse
        self._current = current
        self._known = {current.version: current}

    async def keep(self) -> None:
        """Store the current book unless it is there.

        Raises:
            StoreUnavailable: ClickHouse does not answer.
        """
        if not await self._clickhouse.query(_SELECT, {"versions": [self._current.version]}):
            row = (self._current.version, self._current.to_json().decode())
            await self._clickhouse.insert("usage.price_books", [row], ("version", "book"))

    async def of(self, versions: Iterable[str]) -> Mapping[str, PriceBook]:
        """Return the books of these versions; one that was never published here is not among them.

        Raises:
            StoreUnavailable: ClickHouse does not answer.
        """
        unknown = sorted({version for version in versions if version} - self._known.keys())
        if unknown:
            for version, text in await self._clickhouse.query(_SELECT, {"versions": unknown}):
                self._remember(version, PriceBook.from_json(text.encode()))
        return self._known

    def _remember(self, version: str, book: PriceBook) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known = {self._current.version: self._current}
        self._known[version] = book
