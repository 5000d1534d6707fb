"""Checking keys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from llm_manager.core.errors import AuthenticationFailed, PermissionRefused, StoreUnavailable
from llm_manager.core.ids import hash_api_key, new_api_key
from llm_manager.gateway.catalogue.records import AppRecord, KeyRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.keys.rules import KnownCallers, authenticate

PEPPER = b"p" * 32
KEY = new_api_key()
APP = AppRecord(id="a", revision=1, name="default")
RECORD = KeyRecord(id=KEY.id, revision=1, app_id="a", name="k", hash=hash_api_key(KEY.token, pepper=PEPPER))
HERE, NOW = "127.0.0.1", datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
SNAPSHOT = Snapshot.of([APP, RECORD], is_complete=True)


def _check(
    header: str | None,
    snapshot: Snapshot = SNAPSHOT,
    *,
    pepper: bytes = PEPPER,
    is_current: bool = True,
    address: str = HERE,
    now: float = NOW.timestamp(),
) -> Caller:
    return authenticate(header, snapshot, pepper=pepper, is_current=is_current, address=address, now=now)


def _with(**conditions: Any) -> Snapshot:
    return Snapshot.of([APP, msgspec.structs.replace(RECORD, **conditions)], is_complete=True)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_key_opens(scheme: str) -> None:
    assert _check(f"{scheme} {KEY.token}") == Caller(app_id="a", api_key_id=KEY.id)


@pytest.mark.parametrize(
    "header",
    [None, "", KEY.token, f"Basic {KEY.token}", "Bearer x", f"Bearer {new_api_key().token}"],
    ids=["none", "empty", "no scheme", "other scheme", "no key", "unknown key"],
)
def test_anything_else_does_not(header: str | None) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        _check(header)
    assert KEY.token[25:] not in caught.value.message


def test_only_who_has_the_key_of_an_app_that_is_off_is_told_so() -> None:
    off = Snapshot.of([RECORD], is_complete=True)
    with pytest.raises(AuthenticationFailed, match=f"app of the API key {KEY.id} is switched off"):
        _check(f"Bearer {KEY.token}", off)
    with pytest.raises(AuthenticationFailed, match="unknown or revoked"):
        _check(f"Bearer {KEY.token}", off, pepper=b"q" * 32)


def test_a_known_id_with_another_secret_does_not_open() -> None:
    forged = KeyRecord(id=KEY.id, revision=1, app_id="a", name="k", hash="x" * 44)
    with pytest.raises(AuthenticationFailed):
        _check(f"Bearer {KEY.token}", Snapshot.of([APP, forged], is_complete=True))
    with pytest.raises(AuthenticationFailed):
        _check(f"Bearer {KEY.token}", pepper=b"q" * 32)


def test_a_key_of_a_disabled_app_does_not_open() -> None:
    disabled = AppRecord(id="a", revision=2, name="default", is_enabled=False)
    with pytest.raises(AuthenticationFailed):
        _check(f"Bearer {KEY.token}", Snapshot.of([disabled, RECORD], is_complete=True))


def test_a_store_that_is_away_makes_no_401() -> None:
    stranger = f"Bearer {new_api_key().token}"
    with pytest.raises(StoreUnavailable):
        _check(stranger, is_current=False)
    with pytest.raises(StoreUnavailable):
        _check(stranger, Snapshot.of([], is_complete=False))
    assert _check(f"Bearer {KEY.token}", is_current=False).app_id == "a"


def test_a_good_key_is_known_until_the_catalogue_changes() -> None:
    known, header = KnownCallers(pepper=PEPPER), f"Bearer {KEY.token}"
    assert known.caller(header, SNAPSHOT, address=HERE, is_current=True) is known.caller(
        header, SNAPSHOT, address=HERE, is_current=True
    )
    for changed in (
        SNAPSHOT.without(RECORD),
        SNAPSHOT.changed(AppRecord(id="a", revision=2, name="d", is_enabled=False)),
    ):
        with pytest.raises(AuthenticationFailed):
            known.caller(header, changed, address=HERE, is_current=True)
        assert known.caller(header, SNAPSHOT, address=HERE, is_current=True).app_id == "a"


def test_what_is_no_good_key_is_never_known() -> None:
    known = KnownCallers(pepper=PEPPER)
    known.caller(f"Bearer {KEY.token}", SNAPSHOT, address=HERE, is_current=True)
    for header in (None, "", KEY.token, f"Bearer {KEY.token}x", f"Bearer {new_api_key().token}"):
        for _ in range(2):
            with pytest.raises(AuthenticationFailed):
                known.caller(header, SNAPSHOT, address=HERE, is_current=True)


def test_a_check_costs_microseconds() -> None:
    header = f"Bearer {KEY.token}"
    began = time.process_time()
    for _ in range(1_000):
        _check(header)
    # the goal is 20 us; ten times as much is allowed, because other work shares this machine
    assert (time.process_time() - began) / 1_000 < 200e-6


def test_a_key_opens_until_it_expires_and_not_a_moment_longer() -> None:
    ending = _with(expires_at=NOW)
    assert _check(f"Bearer {KEY.token}", ending, now=NOW.timestamp() - 0.001).app_id == "a"
    with pytest.raises(AuthenticationFailed, match=f"API key {KEY.id} expired at 2026-11-30 06:00:00 UTC"):
        _check(f"Bearer {KEY.token}", ending, now=NOW.timestamp())


def test_only_who_has_the_key_is_told_why_it_does_not_open() -> None:
    bound = _with(expires_at=NOW, allowed_addresses=("10.0.0.0/8",), scopes=("llm-manager:base:view",))
    with pytest.raises(AuthenticationFailed, match="unknown or revoked"):
        _check(f"Bearer {KEY.token}", bound, pepper=b"q" * 32)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "fe80::1%eth0"])
def test_a_key_opens_from_its_networks(address: str) -> None:
    bound = _with(allowed_addresses=("10.0.0.0/8", "2001:db8::/32", "fe80::1/128"))
    assert _check(f"Bearer {KEY.token}", bound, address=address).api_key_id == KEY.id


@pytest.mark.parametrize("address", ["11.0.0.1", "::1", "2001:db9::7", "nonsense", ""])
def test_a_key_does_not_open_from_elsewhere_and_says_how_it_would(address: str) -> None:
    with pytest.raises(PermissionRefused) as caught:
        _check(f"Bearer {KEY.token}", _with(allowed_addresses=("10.0.0.0/8", "2001:db8::/32")), address=address)
    assert (address or "a connection without an address") in caught.value.message
    assert f"PATCH /api/v1/keys/{KEY.id}" in caught.value.message


def test_a_key_without_the_scope_calls_no_models() -> None:
    with pytest.raises(PermissionRefused, match="needs the scope inference"):
        _check(f"Bearer {KEY.token}", _with(scopes=("llm-manager:base:view",)))


def test_a_caller_who_is_known_still_expires_and_still_comes_from_somewhere() -> None:
    now = [NOW.timestamp()]
    known, header = KnownCallers(pepper=PEPPER, clock=lambda: now[0]), f"Bearer {KEY.token}"
    bound = _with(expires_at=NOW + timedelta(seconds=1), allowed_addresses=("127.0.0.0/8",))
    first = known.caller(header, bound, address=HERE, is_current=True)
    assert known.caller(header, bound, address="127.9.9.9", is_current=True) is first
    with pytest.raises(PermissionRefused, match=r"128\.0\.0\.1"):
        known.caller(header, bound, address="128.0.0.1", is_current=True)
    now[0] += 1
    with pytest.raises(AuthenticationFailed, match="expired"):
        known.caller(header, bound, address=HERE, is_current=True)


def test_who_came_from_elsewhere_first_is_not_known() -> None:
    known, header, bound = (
        KnownCallers(pepper=PEPPER),
        f"Bearer {KEY.token}",
        _with(allowed_addresses=("127.0.0.1/32",)),
    )
    for address in ("10.0.0.1", "10.0.0.1"):
        with pytest.raises(PermissionRefused):
            known.caller(header, bound, address=address, is_current=True)
    assert known.caller(header, bound, address=HERE, is_current=True).app_id == "a"
