"""Reads OpenAI's vectors: lists of numbers, or base64 of 32-bit floats, little end first."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream
from llm_manager.providers.dialects.usage_report import read_report


class _Item(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


_ITEMS = msgspec.json.Decoder(list[_Item])


class EmbeddingsReader(DocumentReader):
    """Reads vectors."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        fields = raw_table(body)
        if "data" not in fields:
            self.error = error_in_stream(self._facts, body) if "error" in fields else None
            return Pieces() if self.error else self._broken("holds no vectors")
        usage = bytes(fields.pop("usage", b""))
        if usage and usage != b"null":
            self._report = read_report(self._facts.usage, usage, answer=body, has_output=False)
        if "model" in fields:
            self.response_model = msgspec.json.decode(fields["model"], type=str | None) or ""
        if self._is_native:
            if bytes(fields["data"]) == b"[]":
                return self._broken("holds no vectors")
            return Pieces(native=[msgspec.json.encode(fields)])
        items = _ITEMS.decode(fields["data"])
        if not items:
            return self._broken("holds no vectors")
        ordered = sorted(enumerate(items), key=lambda pair: pair[0] if pair[1].index is None else pair[1].index)
        return Pieces(embeddings=[_vector(item.embedding) for _, item in ordered])


def _vector(value: list[float] | str) -> Sequence[float]:
    if isinstance(value, list):
        return value
    data = base64.b64decode(value)
    return struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])
