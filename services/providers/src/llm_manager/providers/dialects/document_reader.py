"""Reads an answer that is one JSON document: vectors, lists of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.core.usage import UsageReport
from llm_manager.kit.lenient_json import BOM, LenientDecoder
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import broken_answer

# Any: JSON documents have any shape.
_TABLES = LenientDecoder(list[dict[str, Any]])


class DocumentReader(ABC):
    """Keeps the bytes until the end, then reads them; the protocol is `port.AnswerReader`."""

    finish_reason = ""
    native_finish_reason = ""
    unknown_finish_reasons: tuple[str, ...] = ()

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._data: list[bytes] = []
        self._report: UsageReport | None = None
        self.error: LlmManagerError | None = None
        self.is_done = False
        self.response_model = ""
        self.written = Written()

    def usage(self) -> UsageReport | None:
        """See `port.AnswerReader`."""
        return self._report

    def feed(self, data: bytes) -> Pieces:
        """Keep the bytes; a document says nothing before its end."""
        self._data.append(data)
        return Pieces()

    def finish(self) -> Pieces:
        """Read the document."""
        body = b"".join(self._data).removeprefix(BOM).strip()
        self.is_done = True
        try:
            return self._read(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._broken("is not the JSON that was asked for")

    @abstractmethod
    def _read(self, body: bytes) -> Pieces:
        """Read the whole document; what it raises as a decoding error becomes the reader's error."""

    def _broken(self, what: str) -> Pieces:
        self.error = broken_answer(self._facts, what)
        return Pieces()


def items_of(body: bytes, names: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """Return the list of tables under the first of `names` that is there, or the body itself when it is a list.

    Any: JSON documents have any shape.
    """
    if body[:1] == b"[":
        return _TABLES.decode(body)
    fields = raw_table(body)
    raw = next((fields[name] for name in names if name in fields and bytes(fields[name]) != b"null"), None)
    return None if raw is None else _TABLES.decode(raw)
