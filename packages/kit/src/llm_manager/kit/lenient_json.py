r"""Reads JSON that somebody wrote by hand or by Python's `json`, and would not be read otherwise.

What is mended: NaN and Infinity become null (Python writes them for a token without probability), numbers that no
count, price or time can be become null, half of a surrogate pair becomes U+FFFD, bytes that are no UTF-8 too, and a
byte order mark at the start is left out. Everything else stays byte for byte.

The halves of one pair come in two events where a server cuts its text by UTF-16 units and JavaScript's
`JSON.stringify` then writes each as an escape of its own (well-formed JSON.stringify, ES2019): `Mender` joins them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
# Longer than every number that means something here (a seed of 64 bits has 20 digits, a double at most 24 characters).
_MOST_CHARACTERS = 100
_MOST_EXPONENT_DIGITS = 3
_TOKEN = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
    rb"|-?(?:NaN|Infinity)\b"
    rb"|-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?+(?P<exponent>[0-9]++))?+",
    re.DOTALL,
)
_ESCAPE = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<high>u[dD][89abAB][0-9a-fA-F]{2}(?P<last>\")?)|(?P<low>u[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT = rb"\ufffd"
_HALF, _HALF_IN_CAPITALS = rb"\ud", rb"\uD"


def _may_hold_halves(data: bytes) -> bool:
    return _HALF in data or _HALF_IN_CAPITALS in data


def mended(data: bytes) -> bytes:
    """Return a document that can be read, as far as the repairs above go."""
    data = data.removeprefix(BOM)
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    return _TOKEN.sub(_mended_token, data)


def without_halves(data: bytes) -> bytes:
    """Return a document with every half of a surrogate pair replaced: valid JSON, which parsers do not take."""
    if not _may_hold_halves(data):
        return data
    return _TOKEN.sub(lambda match: _mended_token(match) if match[0][:1] == b'"' else match[0], data)


def _mended_token(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if token[:1] == b'"':
        return _ESCAPE.sub(_mended_escape, token) if _may_hold_halves(token) else token
    if token[-1:] in (b"N", b"y"):
        return b"null"
    is_too_long = len(token) > _MOST_CHARACTERS or len(match["exponent"] or b"") > _MOST_EXPONENT_DIGITS
    return b"null" if is_too_long else token


def _mended_escape(match: re.Match[bytes]) -> bytes:
    if match["high"] is not None:
        return _REPLACEMENT + (match["last"] or b"")
    return _REPLACEMENT if match["low"] is not None else match[0]


class Mender:
    """Mends the events of one stream, in their order."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = b""

    def event(self, data: bytes) -> bytes:
        """Return the event; half a character at the end of a text waits for the other half."""
        if _may_hold_halves(data):
            data = _ESCAPE.sub(self._join, data)
        return mended(data) if b"NaN" in data or b"Infinity" in data else data

    def _join(self, match: re.Match[bytes]) -> bytes:
        if match["low"] is not None:
            half, self._half = self._half, b""
            return half + match[0] if half else _REPLACEMENT
        if match["high"] is not None:
            if match["last"] is None:
                return _REPLACEMENT
            self._half = match[0][:-1]
            return match["last"]
        return match[0]


class Start:
    """Leaves out what stands before an answer: a byte order mark, split anywhere, and white space."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """Return the first bytes of the answer; empty while there are none."""
        data = self._kept + data
        self._kept = data if len(data) < len(BOM) and BOM.startswith(data) else b""
        return b"" if self._kept else data.removeprefix(BOM).lstrip()


class LenientDecoder(Generic[T]):
    """Decodes JSON into a type, and mends it first where it cannot be read as it is.

    Args:
        strict: as in msgspec; False takes numbers in quotes.
        float_hook: as in msgspec.
    """

    __slots__ = ("_decoder",)

    def __init__(
        self, shape: type[T], *, strict: bool = True, float_hook: Callable[[str], object] | None = None
    ) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(shape, strict=strict, float_hook=float_hook)

    def decode(self, data: bytes | str | msgspec.Raw) -> T:
        """Return the value.

        Raises:
            msgspec.DecodeError: not JSON, or not of this type.
        """
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            plain = data.encode() if isinstance(data, str) else bytes(data)
            repaired = mended(plain)
            if repaired == plain:
                raise
            return self._decoder.decode(repaired)
