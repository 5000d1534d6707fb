"""A YAML file that somebody else wrote, as plain JSON values: bounded, without surprises, or a clear error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import yaml

# A real configuration has some hundred models of ten lines; what is larger is no configuration.
LARGEST_BYTES, MOST_NODES, DEEPEST = 5_000_000, 200_000, 60
# The largest integer that the admin API takes (a JSON number that every client reads exactly).
_LARGEST_INTEGER = 2**53
_LONGEST_NAME = 80
_MERGE = "tag:yaml.org,2002:merge"


class ImportRefused(Exception):
    """The file cannot be taken over. `str(error)` says where and why, never what stands there."""


def clip(name: object) -> str:
    """Return a name as it may be shown: on one line, and not endless."""
    text = str(name)
    text = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST_NAME + 1])
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"


def below(path: str, key: object) -> str:
    """Return the path of what is below another path."""
    return f"{path}.{clip(key)}" if path else clip(key)


def parse(content: bytes) -> dict[str, Any]:
    """Return a file as JSON values: nothing but tables with text keys, lists, texts, numbers, truth values, null.

    Dates become texts. What aliases repeat is repeated.

    Raises:
        ImportRefused: it is too large, no YAML, no table, or holds what JSON cannot say.
    """
    if len(content) > LARGEST_BYTES:
        raise ImportRefused(f"The file is larger than {LARGEST_BYTES:,} bytes.")
    try:
        read = _load(content)
    except ImportRefused:
        raise
    except yaml.MarkedYAMLError as error:
        # not its text: it quotes the file, and keys with it
        where = error.problem_mark or error.context_mark
        place = f" at line {where.line + 1}, column {where.column + 1}" if where else ""
        raise ImportRefused(f"The file is no YAML: it cannot be read{place}.") from None
    except (yaml.YAMLError, RecursionError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError):
        # PyYAML's constructors raise all of these for values that do not fit their tags (`!!int ''`, `2026-99-99`)
        raise ImportRefused("The file is no YAML: a value does not fit its type, or it is nested too deeply.") from None
    plain = _Plain().of(read, "", 0)
    if plain is None:
        return {}
    if not isinstance(plain, dict):
        raise ImportRefused("The file holds no table: a LiteLLM config.yaml begins with keys such as 'model_list:'.")
    made: dict[str, Any] = plain  # pyright: ignore[reportUnknownVariableType] _table made it
    return made


def _load(content: bytes) -> object:
    loader = _Loader(content)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """SafeLoader with bounds, and without keys that silently replace each other."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._nodes = 0

    def _count(self, more: int) -> None:
        self._nodes += more
        if self._nodes > MOST_NODES:
            raise ImportRefused(f"The file holds more than {MOST_NODES:,} values.")

    # Any: signatures of PyYAML, which has no types of its own
    def compose_node(self, parent: Any, index: Any) -> Any:
        self._count(1)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                line = key.start_mark.line + 1
                raise ImportRefused(f"Line {line} repeats a key of its table; only one of the two could hold.")
            seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        # `<<` copies: ten of ten of ten … would grow without end
        self._count(len(node.value))


@dataclass
class _Plain:
    nodes: int = field(default=0)

    def of(self, value: object, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise ImportRefused(f"The file holds more than {MOST_NODES:,} values once its aliases are written out.")
        if depth > DEEPEST:
            raise ImportRefused(f"{path[:200]}: nested more than {DEEPEST} deep.")
        match value:
            case None | bool() | str():
                return value
            case int() | float():
                return _number(value, path)
            case date():
                return value.isoformat()
            case list():
                many = cast("list[Any]", value)
                return [self.of(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(many)]
            case dict():
                return self._table(cast("Mapping[Any, Any]", value), path, depth)
            case _:
                raise ImportRefused(f"{path}: it is {type(value).__name__}, which is nothing that JSON can say.")

    def _table(self, table: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in table.items():
            # numbers are keys of logit_bias; `on:` and `no:` are truth values to YAML
            if not isinstance(key, str | int | float | date | None):
                raise ImportRefused(f"{path or 'The file'}: a key is no text.")
            name = key.isoformat() if isinstance(key, date) else str(key)
            if name in made:
                raise ImportRefused(f"{below(path, name)}: the key is there twice.")
            made[name] = self.of(item, below(path, name), depth + 1)
        return made


def _number(value: float, path: str) -> float:
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise ImportRefused(f"{path}: the number is too large.")
    if not math.isfinite(value):
        raise ImportRefused(f"{path}: write a finite number.")
    return value
