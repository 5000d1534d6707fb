"""Where a text comes from: grounding and citations as OpenAI's annotations.

Gemini counts bytes from the start of a part; annotations count characters of the whole text. Each segment repeats its
own words, so the place is checked against them, and searched for them where several parts made the text.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from llm_manager.providers.dialects.json_values import Json, items, table, tables

_SOURCES = ("web", "retrievedContext", "maps", "image")


def annotations_of(text: str, grounding: bytes, citations: bytes) -> list[Json]:
    """Return a `url_citation` for each source of each stretch of text that has an address and a place.

    Args:
        grounding: the candidate's `groundingMetadata`, or empty.
        citations: its `citationMetadata`, or empty.
    """
    if not grounding and not citations:
        return []
    return [*_grounded(text, _decoded(grounding)), *_cited(text, _decoded(citations))]


def _grounded(text: str, metadata: Json) -> Iterator[Json]:
    chunks = tables(metadata.get("groundingChunks"))
    for support in tables(metadata.get("groundingSupports")):
        place = _place(text, table(support.get("segment")))
        for number in items(support.get("groundingChunkIndices")):
            if place is None or not isinstance(number, int) or not 0 <= number < len(chunks):
                continue
            chunk = chunks[number]
            source = table(next((chunk[name] for name in _SOURCES if name in chunk), None))
            yield from _annotation(source.get("uri"), source.get("title"), place)


def _cited(text: str, metadata: Json) -> Iterator[Json]:
    # `citationSources` on the wire of v1beta, `citations` in Vertex and in google-genai 3.4
    for source in tables(metadata.get("citationSources") or metadata.get("citations")):
        place = _place(text, source)
        if place is not None:
            yield from _annotation(source.get("uri"), source.get("title"), place)


def _annotation(address: object, title: object, place: tuple[int, int]) -> Iterator[Json]:
    if isinstance(address, str) and address:
        shown = title if isinstance(title, str) and title else address
        citation = {"url": address, "title": shown, "start_index": place[0], "end_index": place[1]}
        yield {"type": "url_citation", "url_citation": citation}


def _place(text: str, segment: Json) -> tuple[int, int] | None:
    data = text.encode()
    start, end, words = segment.get("startIndex", 0), segment.get("endIndex", 0), segment.get("text")
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(data):
        said = data[start:end].decode("utf-8", "ignore")
        if words in (None, "", said):
            begin = len(data[:start].decode("utf-8", "ignore"))
            return begin, begin + len(said)
    if isinstance(words, str) and words and (found := text.find(words)) >= 0:
        return found, found + len(words)
    return None


def _decoded(document: bytes) -> Json:
    return table(msgspec.json.decode(document)) if document else {}
