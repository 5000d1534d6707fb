"""Reads Anthropic's list of models and the size of a prompt."""

from __future__ import annotations

from datetime import datetime

import msgspec

from llm_manager.core.deltas import Model, TokenCount
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.numbers import whole_number
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream


class _Count(msgspec.Struct):
    input_tokens: int | None = None


class _Model(msgspec.Struct):
    id: str | None = None
    created_at: str | None = None


_COUNT = LenientDecoder(_Count)
_MODEL = LenientDecoder(_Model)
_MODELS = LenientDecoder(list[msgspec.Raw])


class TokenCountReader(DocumentReader):
    """Reads the size of a prompt."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        count = _COUNT.decode(body)
        tokens = whole_number(count.input_tokens)
        if tokens is None:
            self.error = error_in_stream(self._facts, body) if "error" in raw_table(body) else None
            return Pieces() if self.error else self._broken("holds no count")
        if self._is_native:
            return Pieces(native=[body])
        return Pieces(token_count=TokenCount(input_tokens=tokens))


class ModelsReader(DocumentReader):
    """Reads the list of models, in the provider's order: the newest first."""

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "data" not in fields:
            self.error = error_in_stream(self._facts, body) if "error" in fields else None
            return Pieces() if self.error else self._broken("holds no models")
        listed = [(_MODEL.decode(raw), raw) for raw in _MODELS.decode(fields["data"])]
        return Pieces(
            models=[
                Model(id=model.id, created=_unix(model.created_at), owned_by="anthropic", native=bytes(raw))
                for model, raw in listed
                if model.id
            ]
        )


def _unix(text: str | None) -> int:
    try:
        return max(0, int(datetime.fromisoformat(text or "").timestamp()))
    except ValueError:
        return 0
