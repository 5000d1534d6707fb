"""Ids sort by time; API keys show typing errors and never show themselves."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_manager.core.ids import ApiKey, hash_api_key, new_api_key, parse_api_key, uuid7


def test_ids_are_version_7_of_this_very_millisecond() -> None:
    before = int(datetime.now(UTC).timestamp() * 1000)
    made = uuid.UUID(uuid7())
    after = int(datetime.now(UTC).timestamp() * 1000)

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_sort_by_the_time_of_their_making(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**18, 10**18 + 50 * 10**6, 10**6))
    monkeypatch.setattr("time.time_ns", lambda: next(clock))
    ids = [uuid7() for _ in range(50)]

    assert ids == sorted(ids)


def test_ids_differ() -> None:
    assert len({uuid7() for _ in range(10_000)}) == 10_000


def test_a_new_key_is_parsed_to_itself() -> None:
    key = new_api_key()

    assert parse_api_key(key.token) == key
    assert key.token.startswith(f"lm_live_{key.id}_")


def test_keys_differ_and_hold_a_secret_of_200_bits() -> None:
    tokens = {new_api_key().token for _ in range(1_000)}

    assert len(tokens) == 1_000
    assert {len(token.rpartition("_")[2]) for token in tokens} == {46}


def test_any_single_wrong_character_is_noticed() -> None:
    token = new_api_key().token
    wrong = [
        token[:position] + other + token[position + 1 :]
        for position in range(len(token))
        for other in "0z_A"
        if other != token[position]
    ]

    assert [text for text in wrong if parse_api_key(text) is not None] == []


@given(st.text(max_size=80))
def test_other_texts_are_no_keys(text: str) -> None:
    assert parse_api_key(text) is None


@pytest.mark.parametrize("cut", [1, 6, 40])
def test_a_cut_or_extended_key_is_no_key(cut: int) -> None:
    token = new_api_key().token

    assert (parse_api_key(token[:-cut]), parse_api_key(token + "a" * cut)) == (None, None)


def test_a_key_does_not_show_its_secret() -> None:
    key = new_api_key()

    assert repr(key) == f"ApiKey({key.id})"
    assert key.token not in f"{key} {key!r} {[key]}"


def test_a_hash_depends_on_the_key_and_on_the_pepper() -> None:
    first, second = new_api_key().token, new_api_key().token
    hashes = {hash_api_key(token, pepper=pepper) for token in (first, second) for pepper in (b"a" * 32, b"b" * 32)}

    assert len(hashes) == 4
    assert hash_api_key(first, pepper=b"a" * 32) in hashes
    assert not any(first in text or ApiKey.__name__ in text for text in hashes)
