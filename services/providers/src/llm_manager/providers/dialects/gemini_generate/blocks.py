"""Keeps the parts of a turn as Gemini wrote them, for turns that neutral words cannot say (B-17, T-14)."""

from __future__ import annotations

import msgspec

from llm_manager.core.messages import OpaqueBlock
from llm_manager.providers.dialects.gemini_generate.events import compact, is_neutral
from llm_manager.providers.dialects.pointers import raw_table

DIALECT = "gemini_generate"
_PLAIN, _THOUGHT = frozenset({"text"}), frozenset({"text", "thought"})


class Blocks:
    """The parts of one candidate in order.

    Streams cut text anywhere, so neighbours without a signature are put together again. A part with a signature stays
    as it is: the provider refuses one that was merged.
    """

    __slots__ = ("_is_needed", "_open", "_open_fields", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._open: list[str] = []
        self._open_fields: frozenset[str] = frozenset()
        self._is_needed = False

    def add(self, raw: bytes, *, text: str | None, is_whole: bool) -> None:
        """Take the next part.

        Args:
            text: its text, where it has some.
            is_whole: the answer was not cut by a stream, so nothing is to be put together.
        """
        fields = frozenset(raw_table(raw))
        self._is_needed |= not is_neutral(fields)
        if is_whole or text is None or fields not in (_PLAIN, _THOUGHT):
            self._end_text()
            self._parts.append(compact(raw))
            return
        if fields != self._open_fields:
            self._end_text()
            self._open_fields = fields
        self._open.append(text)

    def all(self) -> list[OpaqueBlock]:
        """Return the turn; empty when neutral words say it whole."""
        if not self._is_needed:
            return []
        self._end_text()
        return [OpaqueBlock(dialect=DIALECT, json=part) for part in self._parts]

    def _end_text(self) -> None:
        if text := "".join(self._open):
            part: dict[str, str | bool] = {"text": text}
            if self._open_fields == _THOUGHT:
                part["thought"] = True
            self._parts.append(msgspec.json.encode(part))
        self._open = []
        self._open_fields = frozenset()
