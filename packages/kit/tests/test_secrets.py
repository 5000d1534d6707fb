import copy
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llm_manager.kit.secrets import (
    Secret,
    SecretBox,
    SecretBoxError,
    key_id_in,
    key_id_of,
    mask_known,
)

CANARY = "canary-7c1e9a2f"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
AAD = b"provider-credential"


class Holder(BaseModel):
    secret: Secret


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(CANARY)

    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret]), str({"a": secret})]

    assert all(CANARY not in text and "***" in text for text in shown)
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("encode", [pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode])
def test_a_secret_cannot_be_serialised(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError):
        encode(Secret(CANARY))


def test_pydantic_takes_a_secret_and_dumps_a_mask() -> None:
    holder = Holder.model_validate({"secret": CANARY})

    assert holder.secret.reveal() == CANARY
    assert holder.model_dump() == {"secret": "***"}
    assert holder.model_dump_json() == '{"secret":"***"}'
    assert CANARY not in repr(holder)


def test_secrets_compare_by_text_and_with_nothing_else() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_copies_are_the_same_secret() -> None:
    secret = Secret("a")

    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_living_secrets_are_masked_and_dead_ones_forgotten() -> None:
    secret = Secret(CANARY)
    assert mask_known(f"key {CANARY}!") == "key ***!"

    del secret

    assert mask_known(f"key {CANARY}!") == f"key {CANARY}!"


def test_of_a_secret_that_begins_with_another_nothing_stays() -> None:
    secrets = [Secret(CANARY), Secret(f"{CANARY}-and-more")]
    assert mask_known(f"key {CANARY}-and-more!") == "key ***!"
    assert all(secrets)


def test_short_texts_are_not_searched_for() -> None:
    secret = Secret("abc")

    assert mask_known("abcdef") == "abcdef"
    assert secret


@given(plain=st.binary(max_size=200), aad=st.binary(max_size=20))
def test_what_was_sealed_opens_to_the_same_bytes(plain: bytes, aad: bytes) -> None:
    box = SecretBox(KEY)

    assert box.open(box.seal(plain, aad=aad), aad=aad) == plain


def test_sealing_twice_gives_two_envelopes_that_hide_the_text() -> None:
    box = SecretBox(KEY)

    first, second = box.seal(CANARY.encode(), aad=AAD), box.seal(CANARY.encode(), aad=AAD)

    assert first != second
    assert CANARY.encode() not in first


@pytest.mark.parametrize("position", range(1 + 8 + 12 + 4 + 16))
def test_one_changed_bit_anywhere_is_noticed(position: int) -> None:
    envelope = bytearray(SecretBox(KEY).seal(b"text", aad=AAD))
    envelope[position] ^= 1

    with pytest.raises(SecretBoxError):
        SecretBox(KEY).open(bytes(envelope), aad=AAD)


@pytest.mark.parametrize("cut", [0, 1, 20, 36])
def test_a_cut_envelope_is_refused(cut: int) -> None:
    envelope = SecretBox(KEY).seal(b"", aad=AAD)

    with pytest.raises(SecretBoxError, match="not an envelope"):
        SecretBox(KEY).open(envelope[:cut], aad=AAD)


def test_an_envelope_cannot_be_moved_to_another_purpose() -> None:
    envelope = SecretBox(KEY).seal(b"text", aad=AAD)

    with pytest.raises(SecretBoxError, match="belongs to other data"):
        SecretBox(KEY).open(envelope, aad=b"webhook-secret")


def test_rotation_opens_the_old_and_seals_with_the_new() -> None:
    old = SecretBox(OTHER_KEY).seal(b"text", aad=AAD)
    box = SecretBox(KEY, older_keys=[OTHER_KEY])

    assert box.open(old, aad=AAD) == b"text"
    assert box.needs_resealing(old)
    fresh = box.seal(b"text", aad=AAD)
    assert not box.needs_resealing(fresh)
    assert SecretBox(KEY).open(fresh, aad=AAD) == b"text"


def test_an_unknown_key_is_named_by_its_id() -> None:
    envelope = SecretBox(OTHER_KEY).seal(b"text", aad=AAD)

    with pytest.raises(SecretBoxError, match=SecretBox(OTHER_KEY).active_key_id):
        SecretBox(KEY).open(envelope, aad=AAD)


def test_derived_keys_differ_by_purpose_and_master_key_and_never_change() -> None:
    derived = {SecretBox(key).derive(purpose) for key in (KEY, OTHER_KEY) for purpose in ("api-key-pepper", "session")}

    assert len(derived) == 4
    # stored hashes depend on it: HKDF-SHA256(key, no salt, "llm-manager/v1/derive/api-key-pepper")
    assert SecretBox(KEY).derive("api-key-pepper").hex() == (
        "d782a8a20a7e25dec2e6eefcc4f931c8fa8bdff8f3daadc9098b16aae1a31cc6"
    )


def test_a_master_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(SecretBoxError, match="has 32 bytes, this one has 31"):
        SecretBox(KEY[:31])


def test_a_box_shows_no_key() -> None:
    assert repr(SecretBox(KEY)) == f"SecretBox(active key {SecretBox(KEY).active_key_id})"


def test_keys_that_are_changed_while_it_runs_are_taken_over_and_open_for_those_that_come_late() -> None:
    told: list[list[bytes] | None] = [None]
    box = SecretBox(KEY, changed=lambda: told[-1])
    before = box.seal(b"text", aad=AAD)
    told.append([OTHER_KEY])

    # an envelope that another process sealed under the new key, before this one was told
    assert box.open(SecretBox(OTHER_KEY).seal(b"new", aad=AAD), aad=AAD) == b"new"
    assert box.open(before, aad=AAD) == b"text"
    assert box.active_key_id == key_id_of(OTHER_KEY)
    assert key_id_in(box.reseal(before, aad=AAD)) == key_id_of(OTHER_KEY)
    assert box.key_ids == {key_id_of(KEY), key_id_of(OTHER_KEY)}


def test_what_is_derived_stays_that_of_the_oldest_key() -> None:
    assert SecretBox(OTHER_KEY, older_keys=[KEY]).derive("session") == SecretBox(KEY).derive("session")
