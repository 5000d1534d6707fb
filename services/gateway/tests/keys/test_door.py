"""API keys on the admin API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_manager.core.errors import AuthenticationFailed, PermissionRefused, StoreUnavailable
from llm_manager.core.ids import hash_api_key, new_api_key
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.catalogue.records import AppRecord, KeyRecord
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.keys.door import KeyDoor

PEPPER, KEY, NOW = b"p" * 32, new_api_key(), datetime(2026, 11, 30, tzinfo=UTC)
BEARER = f"Bearer {KEY.token}"


@dataclass
class Known:
    """A catalogue as far as the door looks into it."""

    snapshot: Snapshot
    is_current: bool = True


def _door(*scopes: str, **conditions: Any) -> KeyDoor:
    hashed = hash_api_key(KEY.token, pepper=PEPPER)
    record = KeyRecord(id=KEY.id, revision=1, app_id="a", name="ci", hash=hashed, scopes=scopes, **conditions)
    known = Known(Snapshot.of([AppRecord(id="a", revision=1, name="default"), record], is_complete=True))
    return KeyDoor(known, pepper=PEPPER, clock=NOW.timestamp)


def _enter(door: KeyDoor, header: str | None = BEARER, *, known: list[Subject] | None = None) -> Subject:
    seen = [] if known is None else known
    return door.enter(header, address="10.0.0.1", request_id="r1", known=seen.append)


@pytest.mark.requirement("S37")
def test_a_key_may_do_what_its_scopes_say_and_no_more() -> None:
    subject = _enter(_door("inference", "llm-manager:base:view", "llm-manager:of-a-later-version"))
    assert subject == Subject(
        "api_key",
        KEY.id,
        "ci",
        frozenset({Permission.BASE_VIEW}),
        address="10.0.0.1",
        request_id="r1",
        app_id="a",
    )
    with pytest.raises(PermissionRefused, match="llm-manager:keys:manage"):
        subject.require(Permission.KEYS_MANAGE)


def test_a_key_that_only_calls_models_stays_outside_and_is_told_what_it_needs() -> None:
    with pytest.raises(PermissionRefused, match=f"none of its scopes is a permission .*PATCH /api/v1/keys/{KEY.id}"):
        _enter(_door("inference"))


@pytest.mark.parametrize("allowed", [None, ("192.168.0.0/16",)])
def test_whose_key_it_is_is_told_also_if_it_may_not_come_in(allowed: tuple[str, ...] | None) -> None:
    known: list[Subject] = []
    with pytest.raises(PermissionRefused):
        _enter(_door("inference", allowed_addresses=allowed), known=known)
    [subject] = known
    assert (subject.kind, subject.id, subject.address, subject.permissions) == (
        *("api_key", KEY.id, "10.0.0.1"),
        frozenset(),
    )


def test_of_a_key_that_is_not_good_nobody_is_told() -> None:
    known: list[Subject] = []
    with pytest.raises(AuthenticationFailed):
        _enter(_door("llm-manager:base:view"), f"{BEARER}x", known=known)
    assert known == []


def test_time_and_place_count_here_too() -> None:
    with pytest.raises(AuthenticationFailed, match="expired"):
        _enter(_door("llm-manager:base:view", expires_at=NOW))
    with pytest.raises(PermissionRefused, match=r"10\.0\.0\.1"):
        _enter(_door("llm-manager:base:view", allowed_addresses=("192.168.0.0/16",)))


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic YWRtaW46eA==", "Bearer x", f"Bearer {new_api_key().token}"],
    ids=["none", "empty", "basic", "mistyped", "unknown"],
)
def test_anything_else_stays_outside(header: str | None) -> None:
    with pytest.raises(AuthenticationFailed):
        _enter(_door("llm-manager:base:view"), header)


def test_a_catalogue_that_is_not_current_says_nothing_of_unknown_keys() -> None:
    known = Known(Snapshot.of([], is_complete=True), is_current=False)
    with pytest.raises(StoreUnavailable):
        _enter(KeyDoor(known, pepper=PEPPER))
