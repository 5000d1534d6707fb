"""Dotted paths into JSON documents, as the facts name them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

import msgspec

from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.numbers import exact_number, whole_number

# Money and counts are read as they were written: never through a binary float. Any: documents have any shape.
EXACT_DECODER = LenientDecoder(cast("type[Any]", Any), float_hook=exact_number)
EXACT_ENCODER = msgspec.json.Encoder(decimal_format="number")
_RAW_TABLE = LenientDecoder(dict[str, msgspec.Raw])
_RAWS = LenientDecoder(list[msgspec.Raw])


def find(document: object, pointers: Iterable[str]) -> object:
    """Return what the first pointer that leads to something other than null leads to, else None.

    Args:
        document: as a JSON decoder returns it.
    """
    for pointer in pointers:
        value = _value_at(document, pointer)
        if value is not None:
            return value
    return None


def _value_at(document: object, pointer: str) -> object:
    value = document
    for key in _keys_of(pointer):
        if not isinstance(value, dict):
            return None
        # Any: a JSON document has any shape until it is looked at.
        value = cast("dict[str, Any]", value).get(key)
    return value


@cache  # the facts hold a few hundred
def _keys_of(pointer: str) -> tuple[str, ...]:
    return tuple(pointer.split("."))


def find_text(document: object, pointers: Iterable[str]) -> str:
    """Return the first text or number as text, else the empty string. Tables and lists are returned as JSON."""
    value = find(document, pointers)
    if value is None:
        return ""
    return value if isinstance(value, str) else EXACT_ENCODER.encode(value).decode()


def find_count(document: object, pointers: Iterable[str]) -> int | None:
    """Return the first whole number from zero to `numbers.MOST_COUNTED`, else None."""
    for pointer in pointers:
        count = whole_number(_value_at(document, pointer))
        if count is not None:
            return count
    return None


def is_odd_count(document: object, pointers: Iterable[str]) -> bool:
    """Return whether something stands where a count should, and is none: what it counts is unknown then, not zero."""
    return find_count(document, pointers) is None and find(document, pointers) is not None


def find_raw(data: bytes, pointer: str) -> bytes:
    """Return the bytes that a pointer leads to, exactly as they stand; empty for null and for nothing.

    A number in a pointer is a place in a list: `choices.0.usage`.
    """
    raw = data
    for key in pointer.split("."):
        if raw[:1] == b"[" and key.isdigit():
            raw = next((bytes(item) for item in _RAWS.decode(raw)[int(key) :]), b"")
        elif raw[:1] == b"{":
            raw = bytes(raw_table(raw).get(key, b""))
        else:
            return b""
    return b"" if raw == b"null" else raw


def raw_table(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields of a JSON object, each as it stands.

    Raises:
        msgspec.DecodeError: not a JSON object.
    """
    return _RAW_TABLE.decode(data)


def marks_of(pointer: str) -> tuple[bytes, ...]:
    """Return bytes without which a document has nothing at a pointer: looking for them is cheaper than reading it."""
    return tuple(f'"{key}"'.encode() for key in reversed(pointer.split(".")) if not key.isdigit())
