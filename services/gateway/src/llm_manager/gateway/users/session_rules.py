"""What a session's cookie and its CSRF token look like, and when a session ends; pure."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b, sha256

from llm_manager.core.errors import CsrfTokenMissing
from llm_manager.gateway.access.rules import COOKIE, CSRF_HEADER

# A working day, and a week: OWASP Session Management Cheat Sheet (read 2026-11) asks for both limits, the second one so
# that a stolen session ends even while it is used.
IDLE, LONGEST = timedelta(hours=8), timedelta(days=7)
SEEN_EVERY = timedelta(minutes=1)
# Whoever logs in once more ends the session that was used longest ago: a script cannot fill the table.
MOST_OF_A_USER = 50
_VALUE_BYTES = 32
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def value_of(random: bytes) -> str:
    """Return what the cookie holds, made of 32 random bytes."""
    if len(random) != _VALUE_BYTES:
        raise ValueError(f"a session is {_VALUE_BYTES} random bytes")
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def cookie_in(headers: Iterable[str]) -> str | None:
    """Return what our cookie holds; None where it is missing, is said more than once, or cannot be one of ours."""
    pairs = (pair.strip().partition("=") for header in headers for pair in header.split(";"))
    values = [value for name, _, value in pairs if name == COOKIE]
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def set_cookie(value: str) -> str:
    """Return the header that gives a browser a session."""
    return f"{COOKIE}={value}; Max-Age={int(LONGEST.total_seconds())}; Path=/; Secure; HttpOnly; SameSite=Strict"


def cleared_cookie() -> str:
    """Return the header that takes it away."""
    return f"{COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"


def hash_of(value: str, *, pepper: bytes) -> str:
    """Return how the table knows a session: 64 hexadecimal digits, from which nobody makes a cookie."""
    return blake2b(value.encode(), key=pepper, digest_size=32).hexdigest()


def csrf_token(value: str, *, key: bytes) -> str:
    """Return the token that a page must show besides the cookie; only who may read our answers knows it."""
    return base64.urlsafe_b64encode(hmac.digest(key, value.encode(), sha256)).decode().rstrip("=")


def check_csrf(method: str, said: list[str], *, token: str) -> None:
    """Go on only if a request changes nothing, or shows the token.

    Args:
        said: every value of the header.

    Raises:
        CsrfTokenMissing.
    """
    if method in _SAFE:
        return
    # a header may hold any byte; latin-1 is how it was read
    if len(said) != 1 or not hmac.compare_digest(said[0].encode("latin-1"), token.encode()):
        raise CsrfTokenMissing(
            f"A session that changes something must show its token: send the csrf_token of GET /api/v1/session as "
            f"{CSRF_HEADER}.",
            param=CSRF_HEADER,
        )


def ends_at(*, seen_at: datetime, expires_at: datetime) -> datetime:
    """Return when a session ends if nobody uses it any more."""
    return min(expires_at, seen_at + IDLE)
