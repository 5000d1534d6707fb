"""What every table of a facts file is built on: refusal of unknown keys, and patterns of names."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache

import msgspec


class FactTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a facts file. Unknown keys are refused."""


def fits(text: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a text fits one of some patterns, in which `*` stands for anything."""
    return bool(patterns) and _any_of(patterns).match(text) is not None


@cache  # the facts hold a few dozen lists
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
