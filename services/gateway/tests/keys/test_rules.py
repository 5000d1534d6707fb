"""Checking keys."""

from __future__ import annotations

import time

import pytest

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.core.ids import hash_api_key, new_api_key
from llm_manager.gateway.catalogue.rules import AppRecord, KeyRecord, Snapshot
from llm_manager.gateway.inference.rules import Caller
from llm_manager.gateway.keys.rules import KnownCallers, authenticate

PEPPER = b"p" * 32
KEY = new_api_key()
APP = AppRecord(id="a", revision=1, name="default")
RECORD = KeyRecord(id=KEY.id, revision=1, app_id="a", name="k", hash=hash_api_key(KEY.token, pepper=PEPPER))
SNAPSHOT = Snapshot.of([APP, RECORD], is_complete=True)


def _check(
    header: str | None, snapshot: Snapshot = SNAPSHOT, *, pepper: bytes = PEPPER, is_current: bool = True
) -> Caller:
    return authenticate(header, snapshot, pepper=pepper, is_current=is_current)


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
    assert known.caller(header, SNAPSHOT, is_current=True) is known.caller(header, SNAPSHOT, is_current=True)
    for changed in (
        SNAPSHOT.without(RECORD),
        SNAPSHOT.changed(AppRecord(id="a", revision=2, name="d", is_enabled=False)),
    ):
        with pytest.raises(AuthenticationFailed):
            known.caller(header, changed, is_current=True)
        assert known.caller(header, SNAPSHOT, is_current=True).app_id == "a"


def test_what_is_no_good_key_is_never_known() -> None:
    known = KnownCallers(pepper=PEPPER)
    known.caller(f"Bearer {KEY.token}", SNAPSHOT, is_current=True)
    for header in (None, "", KEY.token, f"Bearer {KEY.token}x", f"Bearer {new_api_key().token}"):
        for _ in range(2):
            with pytest.raises(AuthenticationFailed):
                known.caller(header, SNAPSHOT, is_current=True)


def test_a_check_costs_microseconds() -> None:
    header = f"Bearer {KEY.token}"
    began = time.process_time()
    for _ in range(1_000):
        _check(header)
    # the goal is 20 us; ten times as much is allowed, because other work shares this machine
    assert (time.process_time() - began) / 1_000 < 200e-6
