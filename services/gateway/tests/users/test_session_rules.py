"""What a session's cookie and its token look like, and when a session ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from llm_manager.core.errors import CsrfTokenMissing
from llm_manager.gateway.access.rules import COOKIE
from llm_manager.gateway.users.session_rules import (
    check_csrf,
    cleared_cookie,
    cookie_in,
    csrf_token,
    ends_at,
    hash_of,
    set_cookie,
    value_of,
)

VALUE = value_of(bytes(range(32)))


def test_a_cookie_is_read_back_among_others() -> None:
    pair = set_cookie(VALUE).partition(";")[0]
    assert cookie_in([pair]) == VALUE
    assert cookie_in(["a=b;c ; ", f"x=y;{pair} ;z={VALUE}"]) == VALUE


@pytest.mark.parametrize(
    "header",
    [
        "",
        VALUE,
        f"{COOKIE}",
        f"{COOKIE}=",
        f"{COOKIE}={VALUE[1:]}",
        f"{COOKIE}={VALUE}x",
        f'{COOKIE}="{VALUE}"',
        f"{COOKIE}={VALUE[:-1]}ü",
        f"{COOKIE.lower()}={VALUE}",
        f"llm-manager-session={VALUE}",
        f"{COOKIE}={VALUE}; {COOKIE}={VALUE}",
        f"{COOKIE}={VALUE}; {COOKIE}=",
        f"{COOKIE}=" + "x" * 10_000,
    ],
)
def test_what_is_not_exactly_one_of_ours_is_none(header: str) -> None:
    assert cookie_in([header]) is None


def test_the_cookie_is_taken_away_under_the_flags_that_gave_it() -> None:
    given, taken = set_cookie(VALUE).split("; "), cleared_cookie().split("; ")
    assert (taken[0], taken[1], taken[2:]) == (f"{COOKIE}=", "Max-Age=0", given[2:])


def test_a_session_is_made_of_32_bytes_and_hashed_under_a_key() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        value_of(b"short")
    hashed = hash_of(VALUE, pepper=b"p")
    assert len(hashed) == 64
    assert hashed not in {hash_of(VALUE, pepper=b"q"), hash_of(value_of(bytes(32)), pepper=b"p")}


def test_the_token_is_asked_of_what_changes_something_only() -> None:
    token = csrf_token(VALUE, key=b"k")
    for method in ("GET", "HEAD", "OPTIONS"):
        check_csrf(method, [], token=token)
    for method in ("POST", "PUT", "PATCH", "DELETE", "get", "ANYTHING"):
        check_csrf(method, [token], token=token)
        for said in ([], [""], [token, token], [csrf_token(VALUE, key=b"j")], [VALUE], ["\xff"]):
            with pytest.raises(CsrfTokenMissing, match="GET /api/v1/session"):
                check_csrf(method, said, token=token)


def test_a_session_ends_by_whichever_limit_comes_first() -> None:
    seen = datetime(2026, 11, 30, tzinfo=UTC)
    assert ends_at(seen_at=seen, expires_at=seen + timedelta(days=3)) == seen + timedelta(hours=8)
    assert ends_at(seen_at=seen, expires_at=seen + timedelta(hours=1)) == seen + timedelta(hours=1)
