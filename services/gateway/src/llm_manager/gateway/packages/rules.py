"""What becomes of the entries of a package; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class PackageOutcome(StrEnum):
    """What becomes of an entry."""

    CREATED = "created"
    CHANGED = "changed"
    # it is there, is another, and was not forced
    KEPT = "kept"
    UNCHANGED = "unchanged"


class PackageState(StrEnum):
    """Whether a package is here."""

    AVAILABLE = "available"
    INSTALLED = "installed"
    # here in another version than the one that comes with the gateway
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a package.

    Args:
        resource: as in the address of the admin API.
        differences: fields in which what is there differs from what the package says.
    """

    resource: str
    name: str
    outcome: PackageOutcome
    differences: tuple[str, ...] = ()


def outcome_of(differences: Sequence[str] | None, *, is_forced: bool) -> PackageOutcome:
    """Return what becomes of an entry.

    Args:
        differences: None where there is no such thing yet.
        is_forced: what is there becomes as the package says.
    """
    if differences is None:
        return PackageOutcome.CREATED
    if not differences:
        return PackageOutcome.UNCHANGED
    return PackageOutcome.CHANGED if is_forced else PackageOutcome.KEPT


# Any: fields of any resource
def differences_of(held: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields in which a thing is not as it is said to be."""
    return tuple(name for name, value in said.items() if held.get(name) != value)


def statistics(entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
    """Return how many entries had each outcome, by resource."""
    counted: dict[str, Counter[PackageOutcome]] = {}
    for entry in entries:
        counted.setdefault(entry.resource, Counter())[entry.outcome] += 1
    return {name: {outcome.value: counts[outcome] for outcome in PackageOutcome} for name, counts in counted.items()}


def state_of(installed: str | None, offered: str | None) -> PackageState:
    """Return whether a package is here, by the version that is and the one that comes with the gateway."""
    if installed is None:
        return PackageState.AVAILABLE
    return PackageState.INSTALLED if offered in (None, installed) else PackageState.OUTDATED
