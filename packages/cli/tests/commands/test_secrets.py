"""`llm-manager secrets`: what becomes of the file of the master keys, and what a person is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fake_gateway import as_json, serving

from llm_manager.cli.data_dir import DataDir, new_master_key
from llm_manager.cli.exit_codes import CommandError
from llm_manager.kit.secrets import key_id_of

_OTHER = "5f1d2c3b4a596877"


def _id(key: str) -> str:
    return key_id_of(base64.urlsafe_b64decode(key))


def _keys(*rows: tuple[str, bool, int]) -> list[dict[str, Any]]:
    """Return rows of the admin API; the first one is active."""
    return [
        {"id": key_id, "is_active": i == 0, "is_known": is_known, "envelopes": count}
        for i, (key_id, is_known, count) in enumerate(rows)
    ]


def _run(invoke: Any, rows: list[dict[str, Any]], *arguments: str, unreadable: tuple[str, ...] = ()) -> Any:
    done = {"resealed": 7, "is_done": True, "unreadable": list(unreadable), "data": rows}
    answers = {
        "GET /api/v1/secrets": (200, as_json({"data": rows})),
        "POST /api/v1/secrets/rotate": (200, as_json(done)),
    }
    with serving(answers) as gateway:
        return invoke("secrets", *arguments, "--url", gateway.url)


def test_keys_are_shown_with_what_they_are_for(invoke: Any) -> None:
    shown = _run(invoke, _keys((_OTHER, True, 12), ("aa", True, 0), ("bb", False, 3)), "show")
    assert [line.split() for line in shown.stdout.splitlines()][1:] == [
        [_OTHER, "seals", "12"],
        ["aa", "opens", "0"],
        ["bb", "unknown", "3"],
    ]


def test_a_rotation_that_was_stopped_goes_on_with_the_key_that_it_made(invoke: Any, data: DataDir) -> None:
    file, new = data.secret_file("master-key"), new_master_key()
    file.write_text(f"{new}\n{file.read_text()}")
    done = _run(invoke, _keys((_id(new), True, 7), ("aa", True, 0)), "rotate")
    assert (done.exception, file.read_text()) == (None, f"{new}\n")
    assert done.stdout == (
        f"7 secrets were sealed anew; the master key is {_id(new)}. "
        f"Back {file} up; backups of the database made before need the key of before.\n"
    )


def test_the_key_of_before_stays_while_something_is_under_it(invoke: Any, data: DataDir) -> None:
    file, new = data.secret_file("master-key"), new_master_key()
    both = f"{new}\n{file.read_text()}"
    file.write_text(both)
    done = _run(invoke, _keys((_id(new), True, 7), ("aa", True, 2), ("bb", False, 5)), "rotate", "--json")
    assert json.loads(done.stdout) == {"active_key_id": _id(new), "resealed": 7, "left_under_older_keys": 2}
    assert file.read_text() == both
    refused = _run(invoke, _keys((_id(new), True, 7)), "rotate", unreadable=("providers/p1",))
    assert isinstance(refused.exception, CommandError)
    assert "no master key opens providers/p1. Put the key" in str(refused.exception)
    assert file.read_text() == both


def test_a_gateway_with_its_key_from_elsewhere_only_seals(invoke: Any, data: DataDir) -> None:
    before = data.secret_file("master-key").read_text()
    done = _run(invoke, _keys((_OTHER, True, 7), ("aa", True, 0)), "rotate")
    assert "may be taken out of LLM_MANAGER_GATEWAY_MASTER_KEY" in done.stdout
    assert data.secret_file("master-key").read_text() == before


def test_a_gateway_that_does_not_read_the_file_gets_no_new_key(invoke: Any, data: DataDir) -> None:
    file = data.secret_file("master-key")
    before = file.read_text()
    refused = _run(invoke, _keys((_id(before.strip()), True, 7)), "rotate")
    assert isinstance(refused.exception, CommandError)
    assert f"does not read {file}" in str(refused.exception)
    assert file.read_text() == before


@pytest.mark.parametrize("content", ["nonsense\n", "A" * 43])
def test_a_file_that_holds_no_keys_is_left_alone_and_named(invoke: Any, data: DataDir, content: str) -> None:
    file = data.secret_file("master-key")
    file.write_text(content)
    refused = _run(invoke, _keys((_OTHER, True, 7)), "rotate")
    assert isinstance(refused.exception, CommandError)
    assert str(file) in str(refused.exception)
    assert file.read_text() == content
