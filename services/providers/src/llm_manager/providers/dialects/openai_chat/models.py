"""Reads lists of models: OpenAI's `data`, bare lists (Together), `models` (llama.cpp), names alone, and one model."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import Model
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.numbers import unix_seconds
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream

_TABLE = LenientDecoder(Json)
_ITEMS = LenientDecoder(list[Json | str])


class ModelsReader(DocumentReader):
    """Reads a list of models, in the provider's order."""

    def _read(self, body: bytes) -> Pieces:
        items = _listed(body)
        if items is None:
            fields = raw_table(body)
            if "id" not in fields:
                self.error = error_in_stream(self._facts, body) if "error" in fields else None
                return Pieces() if self.error else self._broken("holds no models")
            items = [_TABLE.decode(body)]
        models: list[Model] = []
        for item in items:
            name = item.get("id") or item.get("name") or item.get("model")
            if isinstance(name, str):
                created, owner = item.get("created"), item.get("owned_by") or item.get("organization")
                models.append(
                    Model(
                        id=name,
                        created=unix_seconds(created),
                        owned_by=owner if isinstance(owner, str) else "",
                        native=msgspec.json.encode(item),
                    )
                )
        return Pieces(models=models)


def _listed(body: bytes) -> list[Json] | None:
    """Return the models of a list, None where there is none; servers of people's own list names alone."""
    raw = body
    if body[:1] != b"[":
        fields = raw_table(body)
        found = next((fields[name] for name in ("data", "models") if bytes(fields.get(name, b"null")) != b"null"), None)
        if found is None:
            return None
        raw = bytes(found)
    return [{"id": item} if isinstance(item, str) else item for item in _ITEMS.decode(raw)]
