"""What an entry of the audit holds, how entries are chained, and what a secret leaves in one; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from llm_manager.core.canonical import canonical_json

# Before the first entry.
START = "0" * 64
Action = Literal["created", "changed", "deleted", "refused"]
Outcome = Literal["done", "refused"]
# Any: rows are JSON of any shape
Json = Mapping[str, Any]
_IS_SET = "(secret)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done, or was refused.

    Args:
        sequence: from 1 on, without gaps.
        resource: what kind of thing it was done to, as in the address of the admin API.
        before, after: the thing without its secrets; None where there was none.
    """

    sequence: int
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    action: Action
    outcome: Outcome
    resource: str
    resource_id: str
    before: Json | None
    after: Json | None
    address: str
    request_id: str


def chained(entry: Entry, *, previous: str) -> str:
    """Return the hash of an entry: of all it says, and of the hash of the one before it."""
    said = {**asdict(entry), "at": entry.at.isoformat(), "previous": previous}
    return hashlib.sha256(canonical_json(said)).hexdigest()


def first_broken(entries: Iterable[tuple[Entry, str]], *, after: str = START, expected: int = 1) -> int | None:
    """Return the number at which a chain breaks, None when it holds.

    Args:
        entries: in their order, each with the hash that is stored beside it.
        after: hash of the entry before the first of them.
        expected: number of the first of them.
    """
    previous = after
    for entry, stored in entries:
        if entry.sequence != expected or chained(entry, previous=previous) != stored:
            return expected
        previous, expected = stored, expected + 1
    return None


def changed_fields(before: Json, after: Json) -> tuple[Json, Json]:
    """Return only what differs of two states of one thing, and its name, which tells a reader what it was."""
    names = {name for name in (*before, *after) if before.get(name) != after.get(name)} | {"name"}
    return (
        {name: value for name, value in before.items() if name in names},
        {name: value for name, value in after.items() if name in names},
    )


def without_secrets(row: Json, secrets: frozenset[str]) -> Json:
    """Return a row whose secrets say only whether they are set."""
    return {name: (_IS_SET if value else None) if name in secrets else value for name, value in row.items()}
