"""What became of each key of the file that was imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_INDEX = re.compile(r"\[\d+\]")


class Outcome(StrEnum):
    """How much of a key there is here."""

    TAKEN_OVER = "taken over"
    DIFFERS = "differs"
    NOT_TAKEN_OVER = "not taken over"


@dataclass(frozen=True, slots=True)
class Line:
    """One key of the file, by its path, and what became of it. Holds no values that may be secret."""

    path: str
    outcome: Outcome
    what: str


@dataclass(slots=True)
class Report:
    """All keys of a file."""

    lines: list[Line] = field(default_factory=list[Line])

    def taken(self, path: str, what: str) -> None:
        """Note that a key holds here as it did there."""
        self.lines.append(Line(path, Outcome.TAKEN_OVER, what))

    def differs(self, path: str, what: str) -> None:
        """Note that a key holds here in another way."""
        self.lines.append(Line(path, Outcome.DIFFERS, what))

    def left(self, path: str, what: str) -> None:
        """Note that a key, and everything below it, holds nothing here."""
        self.lines.append(Line(path, Outcome.NOT_TAKEN_OVER, what))

    def counts(self) -> dict[str, int]:
        """Return how many keys had each outcome."""
        counted = Counter(line.outcome for line in self.lines)
        return {outcome.value: counted[outcome] for outcome in Outcome}

    def as_json(self) -> list[dict[str, Any]]:
        """Return the lines for programs."""
        return [{"path": line.path, "outcome": line.outcome.value, "what": line.what} for line in self.lines]

    def rows(self, outcome: Outcome) -> list[tuple[str, str]]:
        """Return paths and words of one outcome for people; what is said of many models alike is said once."""
        return list(_joined(line for line in self.lines if line.outcome is outcome))


def _joined(lines: Iterable[Line]) -> Iterable[tuple[str, str]]:
    alike: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        alike.setdefault((_INDEX.sub("[*]", line.path), line.what), []).append(line.path)
    for (pattern, what), paths in alike.items():
        yield (paths[0] if len(paths) == 1 else f"{pattern} ({len(paths)} times)"), what
