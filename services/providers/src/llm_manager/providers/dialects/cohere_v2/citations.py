"""Where a text comes from: citations as OpenAI's annotations.

OpenAI knows one kind of annotation in chats, `url_citation`. A source has an address where the client gave its document
one; a citation of any other source stays in the block of the turn, whole (`reply.Reply.block`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from llm_manager.providers.dialects.cohere_v2.reply import TEXT, Part
from llm_manager.providers.dialects.json_values import Json, table, tables

_ADDRESSES = ("http://", "https://")


def annotations_of(parts: Sequence[Part], citations: Sequence[msgspec.Raw]) -> Iterator[Json]:
    """Yield a `url_citation` for each source of each stretch of text that has an address and a place.

    Cohere counts characters from the start of a block of the content; annotations count them from the start of the
    text.
    """
    starts: list[int] = []
    length = 0
    for part in parts:
        starts.append(length)
        length += len(part.text) if part.kind == TEXT else 0
    for raw in citations:
        citation = table(msgspec.json.decode(raw))
        number = citation.get("content_index") or 0
        # Thoughts and plans are cited too; that is no place in the text.
        if citation.get("type", "TEXT_CONTENT") != "TEXT_CONTENT" or not isinstance(number, int):
            continue
        if number < len(parts) and parts[number].kind == TEXT:
            yield from _cited(citation, parts[number].text, starts[number])


def _cited(citation: Json, text: str, start: int) -> Iterator[Json]:
    begin, end = citation.get("start"), citation.get("end")
    if not isinstance(begin, int) or not isinstance(end, int) or not 0 <= begin < end <= len(text):
        return
    for source in tables(citation.get("sources")):
        document = table(source.get("document") or source.get("tool_output"))
        address = next((value for value in (document.get("url"), source.get("id")) if _is_address(value)), None)
        if address is not None:
            shown = document.get("title")
            place = {"start_index": start + begin, "end_index": start + end}
            title = shown if isinstance(shown, str) and shown else address
            yield {"type": "url_citation", "url_citation": {"url": address, "title": title, **place}}


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_ADDRESSES)
