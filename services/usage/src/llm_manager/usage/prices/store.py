"""The price files that come with the service."""

from __future__ import annotations

from pathlib import Path

from llm_manager.core.prices import PriceBook
from llm_manager.usage.prices.rules import make_book, read_file

DATA = Path(__file__).with_name("data")


def load_book(folder: Path = DATA) -> PriceBook:
    """Read every price file of a folder.

    Raises:
        PriceDataError: a file or the whole is wrong; the message names the file.
    """
    files = sorted(folder.glob("*.toml"))
    return make_book([price for file in files for price in read_file(file.name, file.read_bytes())])
