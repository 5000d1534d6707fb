"""Reads Cohere's vectors, orders and lists of models."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import Model, RerankResult
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.cohere_v2.events import is_said
from llm_manager.providers.dialects.cohere_v2.usage import order_report, vectors_report
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.numbers import MOST_INDEX
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream

# What the worker asks for; clients of Cohere's own dialect may ask for other forms.
FLOAT = "float"


class _Place(msgspec.Struct):
    index: int
    relevance_score: float


class _Name(msgspec.Struct):
    name: str | None = None


_VECTORS = LenientDecoder(list[list[float]])
_PLACES = LenientDecoder(list[_Place])
_MODELS = LenientDecoder(list[msgspec.Raw])
_NAME = LenientDecoder(_Name)


class _AnswerReader(DocumentReader):
    """Shared by all: a refusal that came with status 200 has a `message` and nothing of what was asked."""

    def __init__(self, facts: Facts, *, is_native: bool = False) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _without(self, what: str, body: bytes) -> Pieces:
        if "message" not in raw_table(body):
            return self._broken(f"holds no {what}")
        self.error = error_in_stream(self._facts, body)
        return Pieces()


class EmbeddingsReader(_AnswerReader):
    """Reads vectors by type; of version 1 also bare lists of numbers."""

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        raw = fields.get("embeddings", msgspec.UNSET)
        if not is_said(raw):
            return self._without("vectors", body)
        if is_said(meta := fields.get("meta", msgspec.UNSET)):
            self._report = vectors_report(self._facts.usage, bytes(meta))
        vectors = {FLOAT: raw} if bytes(raw)[:1] == b"[" else raw_table(raw)
        if not any(is_said(of_type) for of_type in vectors.values()):
            return self._broken("holds no vectors")
        if self._is_native:
            return Pieces(native=[body])
        if not is_said(numbers := vectors.get(FLOAT, msgspec.UNSET)):
            return self._broken(f"holds no vectors of the type {FLOAT!r}")
        return Pieces(embeddings=list(_VECTORS.decode(numbers)))


class OrderReader(_AnswerReader):
    """Reads an order, best first as the provider gave it; versions 1 and 2 write it alike."""

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "results" not in fields:
            return self._without("order", body)
        places = _PLACES.decode(fields["results"])
        if not all(0 <= place.index <= MOST_INDEX for place in places):
            return self._broken("holds a document without a place")
        if is_said(meta := fields.get("meta", msgspec.UNSET)):
            self._report = order_report(self._facts.usage, bytes(meta))
        if self._is_native:
            return Pieces(native=[body])
        return Pieces(rerank=[RerankResult(index=place.index, score=place.relevance_score) for place in places])


class ModelsReader(_AnswerReader):
    """Reads the list of models, in the provider's order."""

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "models" not in fields:
            return self._without("models", body)
        listed = [(_NAME.decode(raw).name, raw) for raw in _MODELS.decode(fields["models"])]
        return Pieces(
            models=[Model(id=name, owned_by=self._facts.kind, native=bytes(raw)) for name, raw in listed if name]
        )
