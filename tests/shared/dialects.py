"""The main dialect of a kind, for tests of what it writes and reads."""

from __future__ import annotations

from typing import Protocol, cast

from llm_manager.core.facts import load_facts
from llm_manager.providers.dialects.port import Dialect, Embeds, ListsModels, NewId
from llm_manager.providers.dialects.registry import dialects_of, new_id


class FullDialect(Dialect, Embeds, ListsModels, Protocol):
    """What most dialects can do."""


def main_dialect(kind: str, *, make_id: NewId = new_id) -> FullDialect:
    """Return the dialect that neutral requests of a kind go through."""
    facts = load_facts()[kind]
    # a kind without embeddings has none to ask for; the tests know which have
    return cast("FullDialect", dialects_of(facts, make_id=make_id)[facts.dialect])
