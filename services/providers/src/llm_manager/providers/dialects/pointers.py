"""Dotted paths into JSON documents, as the facts name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec

# Money and counts are read as they were written: never through a binary float.
EXACT_DECODER = msgspec.json.Decoder(float_hook=Decimal)
EXACT_ENCODER = msgspec.json.Encoder(decimal_format="number")
_RAW_TABLE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def find(document: object, pointers: Iterable[str]) -> object:
    """Return what the first pointer that leads to something other than null leads to, else None."""
    for pointer in pointers:
        value = document
        for key in pointer.split("."):
            # Any: a JSON document has any shape until it is looked at.
            value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
            if value is None:
                break
        if value is not None:
            return value
    return None


def find_text(document: object, pointers: Iterable[str]) -> str:
    """Return the first text or number as text, else the empty string. Tables and lists are returned as JSON."""
    value = find(document, pointers)
    if value is None:
        return ""
    return value if isinstance(value, str) else EXACT_ENCODER.encode(value).decode()


def find_count(document: object, pointers: Iterable[str]) -> int | None:
    """Return the first whole number of at least zero, else None."""
    for pointer in pointers:
        value = find(document, (pointer,))
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def find_raw(data: bytes, pointer: str) -> bytes:
    """Return the bytes that a pointer leads to, exactly as they stand; empty for null and for nothing."""
    raw = data
    for key in pointer.split("."):
        if raw[:1] != b"{":
            return b""
        raw = bytes(raw_table(raw).get(key, b""))
    return b"" if raw == b"null" else raw


def raw_table(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields of a JSON object, each as it stands.

    Raises:
        msgspec.DecodeError: not a JSON object.
    """
    return _RAW_TABLE.decode(data)
