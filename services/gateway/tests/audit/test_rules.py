from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from llm_manager.gateway.audit.rules import START, Entry, chained, changed_fields, first_broken, without_secrets

FIRST = Entry(
    sequence=1,
    at=datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC),
    actor_kind="user",
    actor_id="u1",
    actor_name="ann",
    action="created",
    outcome="done",
    resource="apps",
    resource_id="a1",
    before=None,
    after={"name": "shop", "é": [1, None]},
    address="192.0.2.1",
    request_id="r1",
)


def chain(*entries: Entry) -> list[tuple[Entry, str]]:
    found: list[tuple[Entry, str]] = []
    previous = START
    for entry in entries:
        previous = chained(entry, previous=previous)
        found.append((entry, previous))
    return found


THREE = chain(FIRST, replace(FIRST, sequence=2, action="changed"), replace(FIRST, sequence=3, action="deleted"))


def test_a_chain_that_nobody_touched_holds_from_any_entry_on() -> None:
    assert first_broken([]) is None
    assert first_broken(THREE) is None
    assert first_broken(THREE[1:], after=THREE[0][1], expected=2) is None


@pytest.mark.parametrize("field", [name for name in Entry.__dataclass_fields__ if name != "sequence"])
def test_no_field_of_an_entry_can_be_changed_unseen(field: str) -> None:
    values = {"at": datetime(2026, 1, 1, tzinfo=UTC), "before": {"name": "x"}, "after": None}
    changed = replace(THREE[1][0], **{field: values.get(field, "other")})
    assert first_broken([THREE[0], (changed, THREE[1][1]), THREE[2]]) == 2
    # also where its own hash is made anew: the next one knows the old
    assert first_broken([THREE[0], (changed, chained(changed, previous=THREE[0][1])), THREE[2]]) == 3


def test_no_entry_can_be_taken_out_or_put_in_unseen() -> None:
    assert first_broken([THREE[0], THREE[2]]) == 2
    assert first_broken(THREE[1:]) == 1
    assert first_broken([THREE[0], THREE[0], *THREE[1:]]) == 2


def test_an_entry_of_a_change_tells_what_changed_and_of_what() -> None:
    assert changed_fields({"name": "a", "x": 1, "y": 2}, {"name": "a", "x": 1, "y": 3, "z": None}) == (
        {"name": "a", "y": 2},
        {"name": "a", "y": 3},
    )


def test_of_secrets_only_whether_they_are_set_is_told() -> None:
    row = {"name": "openai", "credential": "sk-1", "other": ""}
    assert without_secrets(row, frozenset({"credential", "other"})) == {
        "name": "openai",
        "credential": "(secret)",
        "other": None,
    }
