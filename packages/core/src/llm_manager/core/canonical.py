"""One spelling for equal JSON, so that equal requests have equal hashes whatever the order of their keys."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec

# Beyond it a float cannot tell two neighbouring whole numbers apart, so it is not rewritten as one.
_LARGEST_EXACT = 2**53
_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """Return the canonical spelling of a decoded JSON value.

    Keys are sorted by code point, there is no white space, and numbers that are equal are spelled alike (`1`, `1.0`,
    `1e0`; `-0.0` is `0`). The order of arrays stays, and so do strings, code point by code point.

    Raises:
        ValueError: a number is not finite, or a key is not a string, so the value is not JSON.
    """
    return _encoder.encode(_normal(value))


def canonical_hash(value: object) -> str:
    """Return the SHA-256 of the canonical spelling in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _normal(value: object) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else value
    if isinstance(value, str | bytes | bytearray):
        return value
    if isinstance(value, Mapping):
        members: dict[str, object] = {}
        for key, member in value.items():  # pyright: ignore[reportUnknownVariableType] # untrusted values are objects
            if not isinstance(key, str):
                raise ValueError(f"{key!r} is not a JSON key")  # noqa: TRY004 # the value is wrong, not the program
            members[key] = _normal(member)  # pyright: ignore[reportUnknownArgumentType]
        return members
    if isinstance(value, Sequence):
        return [_normal(item) for item in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value
