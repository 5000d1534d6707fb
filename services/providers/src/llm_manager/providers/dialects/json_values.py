"""JSON documents as values with types: what the decoders hand out is of any shape until it is looked at."""

from __future__ import annotations

from typing import Any, cast

# Any: the fields of a document that somebody else wrote.
Json = dict[str, Any]


def table(value: object) -> Json:
    """Return a JSON object, an empty one for anything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a JSON list, an empty one for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def tables(value: object) -> list[Json]:
    """Return the objects of a JSON list."""
    return [cast("Json", item) for item in items(value) if isinstance(item, dict)]
