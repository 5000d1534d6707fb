"""Ids: sortable by time, and API keys whose typing errors show without a look-up."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
import zlib
from collections import deque
from dataclasses import dataclass
from typing import NewType

RequestId = NewType("RequestId", str)
AttemptId = NewType("AttemptId", str)
AppId = NewType("AppId", str)
ApiKeyId = NewType("ApiKeyId", str)

API_KEY_PREFIX = "lm_live_"
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 40, 6
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def uuid7() -> str:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits. Source: RFC 9562, section 5.7."""
    value = (time.time_ns() // 1_000_000) << 80 | _eighty_bits()
    value = value & ~(0xF << 76) | 0x7 << 76
    digits = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_drawn: deque[int] = deque()


def _eighty_bits() -> int:
    """Return a random number for names, never for secrets; the system is asked for many at once, at a tenth each."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            fresh = os.urandom(4000)
            _drawn.extend(int.from_bytes(fresh[at : at + 10]) for at in range(0, len(fresh), 10))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    value, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, 36)
        digits = _ALPHABET[digit] + digits
    return digits


@dataclass(frozen=True, slots=True, repr=False)
class ApiKey:
    """A secret of one app: `lm_live_<id>_<secret><checksum>`. Shown once, stored as a keyed hash."""

    id: ApiKeyId
    token: str

    def __repr__(self) -> str:
        return f"ApiKey({self.id})"


def new_api_key() -> ApiKey:
    """Make a key with 200 bits of secret."""
    key_id = _random(_ID_LENGTH)
    body = f"{API_KEY_PREFIX}{key_id}_{_random(_SECRET_LENGTH)}"
    return ApiKey(ApiKeyId(key_id), body + _checksum(body))


def parse_api_key(token: str) -> ApiKey | None:
    """Return the key when its form and checksum are right, else None. Touches no store."""
    expected = len(API_KEY_PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH
    if len(token) != expected or not token.startswith(API_KEY_PREFIX) or not token.isascii():
        return None
    key_id, separator, rest = token[len(API_KEY_PREFIX) :].partition("_")
    if not separator or len(key_id) != _ID_LENGTH or len(rest) != _SECRET_LENGTH + _CHECKSUM_LENGTH:
        return None
    if _checksum(token[:-_CHECKSUM_LENGTH]) != token[-_CHECKSUM_LENGTH:]:
        return None
    return ApiKey(ApiKeyId(key_id), token)


def hash_api_key(token: str, *, pepper: bytes) -> str:
    """Return the keyed hash under which a key is stored: BLAKE2b-256 in base64url, keyed by the platform's pepper.

    A key holds 200 random bits, so a fast keyed hash is as good as a slow one and costs a microsecond.
    """
    return base64.urlsafe_b64encode(hashlib.blake2b(token.encode(), key=pepper, digest_size=32).digest()).decode()
