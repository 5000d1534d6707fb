"""Keeps the output items of a turn as the provider wrote them, for turns that neutral words cannot say (B-17, T-14)."""

from __future__ import annotations

import msgspec

from llm_manager.core.messages import OpaqueBlock
from llm_manager.providers.dialects.json_values import items, table, tables
from llm_manager.providers.dialects.openai_responses.events import compact, id_of

DIALECT = "openai_responses"

# Fields that neutral words keep, or that mean nothing to the next turn. `phase` of a message, which must go back, and
# `namespace` of a call are not among them (openai 3.54, response_output_message.py).
_SAID = {
    "message": frozenset({"type", "id", "status", "role", "content"}),
    "function_call": frozenset({"type", "id", "status", "call_id", "name", "arguments"}),
    "reasoning": frozenset({"type", "id", "status", "summary", "content"}),
}
_SAID_OF_PART = frozenset({"type", "text", "refusal", "annotations", "logprobs"})


class Blocks:
    """The output items of one answer, by their place."""

    __slots__ = ("_is_needed", "_items")

    def __init__(self) -> None:
        self._items: dict[int, bytes] = {}
        self._is_needed = False

    def add(self, index: int, raw: bytes) -> None:
        """Take a whole item."""
        self._items[index] = compact(raw)
        self._is_needed = self._is_needed or not _is_neutral(raw)

    def __contains__(self, index: int) -> bool:
        return index in self._items

    def ids(self) -> set[str]:
        """Return the ids of the items so far, as far as they have one."""
        return {item_id for item in self._items.values() if (item_id := id_of(item))}

    def all(self) -> list[OpaqueBlock]:
        """Return the turn; empty when neutral words say it whole."""
        if not self._is_needed:
            return []
        return [OpaqueBlock(dialect=DIALECT, json=self._items[index]) for index in sorted(self._items)]


def returns_as_it_is(raw: bytes) -> bool:
    """Return whether an item can go back in a request that stores nothing.

    Reasoning without its encrypted content or its text is a mere reference to what the provider stored, and "Items are
    not persisted when `store` is set to false" (OpenAI's own words, error 404).
    """
    item = table(msgspec.json.decode(raw))
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content") or item.get("content"))


def _is_neutral(raw: bytes) -> bool:
    item = table(msgspec.json.decode(raw))
    said = _SAID.get(str(item.get("type")))
    if said is None or any(value is not None for name, value in item.items() if name not in said):
        return False
    return item["type"] != "message" or all(_is_neutral_part(part) for part in items(item.get("content")))


def _is_neutral_part(part: object) -> bool:
    fields = table(part)
    if fields.get("type") not in ("output_text", "refusal") or fields.keys() - _SAID_OF_PART:
        return False
    return all(note.get("type") == "url_citation" for note in tables(fields.get("annotations")))
