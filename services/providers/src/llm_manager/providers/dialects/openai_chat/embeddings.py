"""Reads OpenAI's vectors: lists of numbers, or base64 of 32-bit floats, little end first."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream
from llm_manager.providers.dialects.usage_report import read_report


class _Item(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


_ITEMS = LenientDecoder(list[_Item])


class EmbeddingsReader(DocumentReader):
    """Reads vectors.

    Args:
        asked: a client's own body. Where it names a form, vectors come out in that one, whatever the server made of it
            (BerriAI/litellm#42426); without it they stay as they came.

    """

    def __init__(self, facts: Facts, *, is_native: bool, asked: bytes = b"") -> None:
        super().__init__(facts)
        self._is_native = is_native
        self._asked = asked

    def _form(self) -> str:
        if not self._asked:
            return ""
        form = raw_table(self._asked).get("encoding_format", msgspec.Raw(b"null"))
        return {b'"base64"': "base64", b'"float"': "float"}.get(bytes(form).strip(), "")

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
            form = self._form()
            if form:
                fields["data"] = _in_form(fields["data"], is_text=form == "base64")
            return Pieces(native=[msgspec.json.encode(fields)])
        items = _ITEMS.decode(fields["data"])
        if not items:
            return self._broken("holds no vectors")
        ordered = sorted(enumerate(items), key=lambda pair: pair[0] if pair[1].index is None else pair[1].index)
        return Pieces(embeddings=[_vector(item.embedding) for _, item in ordered])


def _in_form(data: msgspec.Raw, *, is_text: bool) -> msgspec.Raw:
    """Return the list with every vector as base64, or as numbers; as it stands where all of them are."""
    listed: list[Json] = EXACT_DECODER.decode(data)
    if all(isinstance(item.get("embedding"), str) is is_text for item in listed):
        return data
    items = _ITEMS.decode(data)
    for item, read in zip(listed, items, strict=True):
        vector = _vector(read.embedding)
        item["embedding"] = _text_of(vector) if is_text else vector
    return msgspec.Raw(EXACT_ENCODER.encode(listed))


def _text_of(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _vector(value: list[float] | str) -> Sequence[float]:
    if isinstance(value, list):
        return value
    data = base64.b64decode(value)
    return struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])
