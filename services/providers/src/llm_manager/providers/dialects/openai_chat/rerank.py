"""Reads an order of documents from an OpenAI-compatible `/rerank`: Together, OpenRouter, vLLM, llama.cpp, Jina, Voyage.

They agree on `results` of `index` and `relevance_score`, and on little more: Voyage calls the list `data`, TEI sends
the list alone and calls the number `score`, and counts stand in `usage` or in Cohere's `meta`.
"""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import RerankResult
from llm_manager.core.facts import Facts, UsagePointers
from llm_manager.kit.lenient_json import LenientDecoder
from llm_manager.providers.dialects.document_reader import DocumentReader
from llm_manager.providers.dialects.numbers import MOST_INDEX
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_in_stream
from llm_manager.providers.dialects.usage_report import read_report

_LISTS = ("results", "data")
_REPORTS = ("usage", "meta")
_NOTHING = (b"", b"null", b"{}")


class _Place(msgspec.Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None

    @property
    def value(self) -> float | None:
        return self.score if self.relevance_score is None else self.relevance_score


_PLACES = LenientDecoder(list[_Place])


class OrderReader(DocumentReader):
    """Reads an order, best first: some servers give the places in the order of the documents."""

    def __init__(self, facts: Facts, *, is_native: bool) -> None:
        super().__init__(facts)
        self._is_native = is_native

    def _read(self, body: bytes) -> Pieces:
        fields = {"results": msgspec.Raw(body)} if body[:1] == b"[" else raw_table(body)
        listed = next((fields[name] for name in _LISTS if name in fields and bytes(fields[name]) != b"null"), None)
        if listed is None:
            self.error = error_in_stream(self._facts, body) if "error" in fields else None
            return Pieces() if self.error else self._broken("holds no order")
        places = [(place.index, place.value) for place in _PLACES.decode(listed)]
        if any(value is None or not 0 <= index <= MOST_INDEX for index, value in places):
            return self._broken("holds a document without a place or a score")
        self._note_usage(fields, body)
        if "model" in fields:
            self.response_model = msgspec.json.decode(fields["model"], type=str | None) or ""
        if self._is_native:
            fields.pop("usage", None)
            return Pieces(native=[msgspec.json.encode(fields)])
        results = [RerankResult(index=index, score=value or 0.0) for index, value in places]
        return Pieces(rerank=sorted(results, key=lambda result: -result.score))

    def _note_usage(self, fields: dict[str, msgspec.Raw], body: bytes) -> None:
        pointers = pointers_of(self._facts)
        for name in _REPORTS:
            if (raw := bytes(fields.get(name, b""))) not in _NOTHING and self._report is None:
                self._report = read_report(pointers, raw, answer=body, has_output=False)


def pointers_of(facts: Facts) -> UsagePointers:
    """Return where the counts of an order stand: there is no output, so a total is the input."""
    usage = facts.usage
    return msgspec.structs.replace(
        usage,
        input=(*usage.input, "tokens.input_tokens", "total_tokens"),
        output=(),
        search_units=(*usage.search_units, "search_units", "billed_units.search_units"),
    )
