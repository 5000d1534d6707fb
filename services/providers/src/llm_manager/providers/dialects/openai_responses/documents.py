"""Reads the size of a prompt."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import TokenCount
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.numbers import whole_number
from llm_manager.providers.dialects.openai_responses.failures import failure_of
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces


class _Count(msgspec.Struct):
    input_tokens: int | None = None


_COUNT = LenientDecoder(_Count)


class TokenCountReader(DocumentReader):
    """Reads the size of a prompt."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        count = _COUNT.decode(body)
        tokens = whole_number(count.input_tokens)
        if tokens is None:
            self.error = failure_of(self._facts, body) if "error" in raw_table(body) else None
            return Pieces() if self.error else self._broken("holds no count")
        if self._is_native:
            return Pieces(native=[body])
        return Pieces(token_count=TokenCount(input_tokens=tokens))
