"""Where a text comes from, as Cohere says it, from OpenAI's annotations.

Cohere counts characters from the start of a block of the content; annotations count them from the start of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

# Any: JSON documents are built here
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A block of text: its place in the content, and where it begins in the text of the whole answer."""

    index: int
    start: int
    text: str


class _UrlCitation(msgspec.Struct, frozen=True):
    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(msgspec.Struct, frozen=True):
    type: str = ""
    url_citation: _UrlCitation | None = None


def citation_of(annotation: bytes, texts: Sequence[Stretch]) -> Json | None:
    """Return one citation; None when there is no text that it could belong to.

    A source that names no place in the text belongs to all of the last block. What is no address (a file, a place on
    a map) is a document with the annotation's own fields.
    """
    if not texts:
        return None
    said = msgspec.json.decode(annotation, type=_Annotation)
    cited = said.url_citation or _UrlCitation()
    begin, end = cited.start_index or 0, cited.end_index or 0
    stretch = next((item for item in reversed(texts) if item.start <= begin), texts[0]) if end > begin else texts[-1]
    start, stop = begin - stretch.start, end - stretch.start
    if not 0 <= start < stop <= len(stretch.text):
        start, stop = 0, len(stretch.text)
    return {
        "start": start,
        "end": stop,
        "text": stretch.text[start:stop],
        "sources": [_source(annotation, cited)],
        "type": "TEXT_CONTENT",
        "content_index": stretch.index,
    }


def _source(annotation: bytes, cited: _UrlCitation) -> Json:
    if not cited.url:
        return {"type": "document", "document": Raw(annotation)}
    document = {"id": cited.url, "url": cited.url, "title": cited.title or cited.url}
    return {"type": "document", "id": cited.url, "document": document}
