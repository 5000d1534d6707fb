"""Reads Gemini's vectors, its list of models, and the size of a prompt."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import Model, TokenCount
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.gemini_generate.usage import embedding_report_of
from llm_manager.providers.dialects.numbers import whole_number
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream

MODEL_PREFIX = "models/"


class _Vector(msgspec.Struct):
    values: list[float] | None = None


class _Vectors(msgspec.Struct, rename="camel"):
    """`embedding` answers embedContent, `embeddings` batchEmbedContents."""

    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()


class _Count(msgspec.Struct, rename="camel"):
    total_tokens: int | None = None
    cached_content_token_count: int | None = None


class _Name(msgspec.Struct):
    name: str | None = None


_VECTORS = LenientDecoder(_Vectors)
_COUNT = LenientDecoder(_Count)
_NAME = LenientDecoder(_Name)
_MODELS = LenientDecoder(list[msgspec.Raw])


class EmbeddingsReader(DocumentReader):
    """Reads vectors of one text or of several."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        answer = _VECTORS.decode(body)
        found = [answer.embedding] if answer.embedding is not None else answer.embeddings or []
        if not found or any(not vector.values for vector in found):
            self.error = error_in_stream(self._facts, body) if "error" in raw_table(body) else None
            return Pieces() if self.error else self._broken("holds no vectors")
        if (usage := bytes(answer.usage_metadata)) not in (b"", b"null"):
            self._report = embedding_report_of(self._facts.usage, usage)
        if self._is_native:
            return Pieces(native=[body])
        return Pieces(embeddings=[vector.values or [] for vector in found])


class TokenCountReader(DocumentReader):
    """Reads the size of a prompt."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        count = _COUNT.decode(body)
        tokens = whole_number(count.total_tokens)
        if tokens is None:
            self.error = error_in_stream(self._facts, body) if "error" in raw_table(body) else None
            return Pieces() if self.error else self._broken("holds no count")
        if self._is_native:
            return Pieces(native=[body])
        cached = whole_number(count.cached_content_token_count) or 0
        return Pieces(token_count=TokenCount(input_tokens=tokens, cached_tokens=cached))


class ModelsReader(DocumentReader):
    """Reads the list of models, in the provider's order, under the names that requests use."""

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "models" not in fields:
            self.error = error_in_stream(self._facts, body) if "error" in fields else None
            return Pieces() if self.error else self._broken("holds no models")
        listed = [(_NAME.decode(raw).name, raw) for raw in _MODELS.decode(fields["models"])]
        return Pieces(
            models=[
                Model(id=name.removeprefix(MODEL_PREFIX), owned_by="google", native=bytes(raw))
                for name, raw in listed
                if name
            ]
        )
