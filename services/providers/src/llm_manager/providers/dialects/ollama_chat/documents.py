"""Reads Ollama's vectors and its list of models."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import Model
from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader, items_of
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.ollama_chat.events import unix_seconds
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream
from llm_manager.providers.dialects.usage_report import read_report

_VECTORS = LenientDecoder(list[list[float]])


class OllamaEmbeddingsReader(DocumentReader):
    """Reads /api/embed."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "embeddings" not in fields:
            self.error = error_in_stream(self._facts, body) if "error" in fields else None
            return Pieces() if self.error else self._broken("holds no vectors")
        vectors = _VECTORS.decode(fields.pop("embeddings"))
        if not vectors:
            return self._broken("holds no vectors")
        self.response_model = msgspec.json.decode(fields.pop("model", b'""'), type=str | None) or ""
        self._report = read_report(self._facts.usage, msgspec.json.encode(fields), has_output=False)
        return Pieces(native=[body]) if self._is_native else Pieces(embeddings=list(vectors))


class OllamaModelsReader(DocumentReader):
    """Reads /api/tags: what was pulled."""

    def _read(self, body: bytes) -> Pieces:
        items = items_of(body, ("models", "data"))
        if items is None:
            return self._broken("holds no models")
        names = [(item.get("model") or item.get("name"), item) for item in items]
        return Pieces(models=[_model(name, item) for name, item in names if isinstance(name, str)])


def _model(name: str, item: Json) -> Model:
    # The time of the last change is what Ollama's own /v1/models says as `created`
    # (ollama/ollama, openai/openai.go, ToListCompletion, read on 2026-11-29).
    modified = item.get("modified_at")
    created = unix_seconds(modified if isinstance(modified, str) else None)
    return Model(id=name, created=created, owned_by="library", native=msgspec.json.encode(item))
