"""The platform's master keys."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

import pytest

from llm_manager.kit.master_keys import MasterKeySettings, parse
from llm_manager.kit.secrets import key_id_of
from llm_manager.kit.settings import SettingsError, load

KEYS = [bytes.fromhex(text * 2) for text in ("a7d3f10249bc5e8863d19ef7205b4c3a", "0f8e7c11d25ab94763cc90f2e81d3b65")]
TEXTS = [base64.urlsafe_b64encode(key).decode() for key in KEYS]
VARIABLE = "LLM_MANAGER_MASTER_KEY"


@pytest.mark.parametrize("between", [" ", "\n", ",", ", \r\n"])
def test_several_are_separated_by_white_space_or_commas(between: str) -> None:
    assert parse(between.join(TEXTS)) == tuple(KEYS)


def test_padding_may_be_missing_and_random_keys_are_never_called_weak() -> None:
    assert parse(TEXTS[0].rstrip("=")) == (KEYS[0],)
    for _ in range(2_000):
        key = os.urandom(32)
        assert parse(base64.urlsafe_b64encode(key).decode()) == (key,)


@pytest.mark.requirement("S204")
@pytest.mark.parametrize(
    "key",
    [
        bytes(32),
        b"k" * 32,
        bytes(range(32)),
        bytes(range(0, 64, 2)),
        b"\x00\xff" * 16,
        b"change-me-to-32-random-bytes-ok!",
        b"correct horse battery staple 123",
    ],
    ids=["zeros", "one letter", "counted", "counted by twos", "a pattern", "a placeholder", "a sentence"],
)
def test_what_can_be_guessed_stops_the_start_without_being_shown(key: bytes) -> None:
    text = base64.urlsafe_b64encode(key).decode()

    with pytest.raises(SettingsError, match=f"{VARIABLE} is wrong: .*can be guessed; make one with") as raised:
        load(MasterKeySettings, {VARIABLE: f"{TEXTS[0]} {text}"})

    assert text not in str(raised.value)


@pytest.mark.parametrize("text", [" ", "short", "ä" * 43, TEXTS[0] + "x", base64.b64encode(b"x" * 31).decode()])
def test_what_is_no_key_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=f"{VARIABLE} is wrong: .*make one with"):
        load(MasterKeySettings, {VARIABLE: text})


def test_a_file_that_changes_is_followed_and_a_wrong_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "master-key"
    file.write_text(f"{TEXTS[0]}\n")
    box = load(MasterKeySettings, {f"{VARIABLE}_FILE": str(file)}).secret_box()
    sealed = box.seal(b"text", aad=b"a")

    for wrong in ("", "nonsense", f"{TEXTS[1]} nonsense"):
        file.write_text(wrong)
        with caplog.at_level(logging.WARNING):
            assert not box.needs_resealing(box.seal(b"text", aad=b"a"))
        assert box.active_key_id == key_id_of(KEYS[0])
    file.unlink()
    box.refresh()
    assert box.active_key_id == key_id_of(KEYS[0])

    file.write_text(f"{TEXTS[1]}\n{TEXTS[0]}\n")
    box.refresh()
    assert box.active_key_id == key_id_of(KEYS[1])
    assert box.needs_resealing(sealed)
    assert box.open(box.reseal(sealed, aad=b"a"), aad=b"a") == b"text"


def test_a_key_in_the_environment_is_not_followed() -> None:
    settings = load(MasterKeySettings, {VARIABLE: TEXTS[0]})

    assert settings.file_of("master_key") is None
    assert settings.secret_box().key_ids == {key_id_of(KEYS[0])}
