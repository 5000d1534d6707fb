"""Where a text comes from: citations as OpenAI's annotations.

Anthropic cites whole blocks of text; an annotation has the block's place in the text. OpenAI knows one kind of
annotation in chats, `url_citation`: a citation of a source without an address stays in the block of the turn, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from llm_manager.providers.dialects.anthropic_messages.blocks import OpenBlock
from llm_manager.providers.dialects.anthropic_messages.events import TEXT
from llm_manager.providers.dialects.json_values import Json, table

_ADDRESSES = ("http://", "https://")


def annotations_of(blocks: Sequence[OpenBlock]) -> Iterator[Json]:
    """Yield a `url_citation` for each source of each block of text that has an address."""
    start = 0
    for block in blocks:
        if block.head.type != TEXT:
            continue
        end = start + len(block.said)
        for raw in block.cited:
            citation = table(msgspec.json.decode(raw))
            address = next((citation[name] for name in ("url", "source") if _is_address(citation.get(name))), None)
            if address is not None and end > start:
                shown = citation.get("title") or citation.get("document_title")
                title = shown if isinstance(shown, str) and shown else address
                place = {"start_index": start, "end_index": end}
                yield {"type": "url_citation", "url_citation": {"url": address, "title": title, **place}}
        start = end


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_ADDRESSES)
