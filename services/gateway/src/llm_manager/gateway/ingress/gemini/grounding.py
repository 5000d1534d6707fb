"""Where a text comes from: annotations in OpenAI's shape as `groundingMetadata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

# Any: JSON documents are built here
Json = dict[str, Any]


class _Url(msgspec.Struct, frozen=True):
    url: str = ""
    title: str | None = None
    start_index: int = 0
    end_index: int = 0


class _File(msgspec.Struct, frozen=True):
    file_id: str = ""
    filename: str = ""


class _Annotation(msgspec.Struct, frozen=True):
    url_citation: _Url | None = None
    file_citation: _File | None = None


_ANNOTATION = msgspec.json.Decoder(_Annotation)


def grounding_of(annotations: Sequence[bytes], text: str) -> Json:
    """Return sources, and which stretch of the text each supports; empty when there are none.

    Args:
        text: of the whole answer. Annotations count its characters, the dialect its bytes.
    """
    chunks: list[Json] = []
    supports: dict[tuple[int, int], list[int]] = {}
    for raw in annotations:
        annotation = _ANNOTATION.decode(raw)
        chunk = _chunk(annotation)
        if chunk is None:
            continue
        if chunk not in chunks:
            chunks.append(chunk)
        citation = annotation.url_citation
        if citation is not None and 0 <= citation.start_index < citation.end_index <= len(text):
            numbers = supports.setdefault((citation.start_index, citation.end_index), [])
            numbers += [number] if (number := chunks.index(chunk)) not in numbers else []
    if not chunks:
        return {}
    return {
        "groundingChunks": chunks,
        "groundingSupports": [
            {"segment": _segment(text, *place), "groundingChunkIndices": numbers} for place, numbers in supports.items()
        ],
    }


def _chunk(annotation: _Annotation) -> Json | None:
    url, file = annotation.url_citation, annotation.file_citation
    if url is not None and url.url:
        return {"web": {"uri": url.url, **({"title": url.title} if url.title else {})}}
    if file is not None and (title := file.filename or file.file_id):
        return {"retrievedContext": {"title": title}}
    return None


def _segment(text: str, start: int, end: int) -> Json:
    before = len(text[:start].encode())
    said = text[start:end]
    return {"startIndex": before, "endIndex": before + len(said.encode()), "text": said}
