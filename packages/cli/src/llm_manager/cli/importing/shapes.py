"""Values of a file as the types that they must have, or an error that names the place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_manager.cli.importing.document import ImportRefused, below

_REFERENCE = "os.environ/"
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")

# Any: JSON of any shape
Table = dict[str, Any]


def table(value: object, path: str) -> Table:
    """Return a table; empty for null. Raises ImportRefused."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ImportRefused(f"{path}: write a table of keys and values.")
    return value  # pyright: ignore[reportUnknownVariableType] parse() made it


def many(value: object, path: str) -> list[Any]:
    """Return a list; empty for null. Raises ImportRefused."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImportRefused(f"{path}: write a list.")
    return value  # pyright: ignore[reportUnknownVariableType] parse() made it


def text(value: object, path: str) -> str:
    """Return a text that is not empty. Raises ImportRefused."""
    if not isinstance(value, str) or not value.strip():
        raise ImportRefused(f"{path}: write a text.")
    return value.strip()


def flag(value: object, path: str) -> bool:
    """Return a truth value; LiteLLM takes texts for them too. Raises ImportRefused."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ImportRefused(f"{path}: write true or false.")


def number(value: object, path: str) -> float:
    """Return a number of at least 0; LiteLLM takes texts for them too. Raises ImportRefused."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ImportRefused(f"{path}: write a number that is not negative.")
    return float(value)


def count(value: object, path: str) -> int:
    """Return a whole number of at least 1. Raises ImportRefused."""
    found = number(value, path)
    if found < 1 or found != int(found) or found > 2**53:
        raise ImportRefused(f"{path}: write a whole number of at least 1.")
    return int(found)


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the file, looked up in the environment where the file names a variable.

    Args:
        value: None where the variable is not set.
        variable: its name; empty where the value stands in the file.
    """

    # Any: JSON of any shape
    value: Any
    variable: str = ""


class Variables:
    """The environment that `os.environ/NAME` is looked up in, and which of it was asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()

    def get(self, name: str) -> str | None:
        """Return a variable's value, None where it is not set or empty."""
        self.asked.add(name)
        return self._environ.get(name) or None

    def found(self, value: object) -> Found:
        """Look a value up where it names a variable."""
        if not isinstance(value, str) or not value.startswith(_REFERENCE):
            return Found(value)
        name = value.removeprefix(_REFERENCE).strip()
        return Found(self.get(name), name)


def plain_parameter(value: object, path: str) -> None:
    """Refuse a parameter that holds a secret's place: an environment variable is no default of a call."""
    match value:
        case str() if value.startswith(_REFERENCE):
            raise ImportRefused(f"{path}: a parameter cannot come from a variable; write its value.")
        case dict():
            inner: Table = value  # pyright: ignore[reportUnknownVariableType] parse() made it
            for key, item in inner.items():
                plain_parameter(item, below(path, key))
        case list():
            items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] parse() made it
            for i, item in enumerate(items):
                plain_parameter(item, f"{path}[{i}]")
        case _:
            pass
