"""Pictures and documents of requests into neutral parts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Literal

from msgspec import Raw
from msgspec.structs import replace

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import Media, Part, Text
from llm_manager.gateway.ingress.anthropic import content_blocks as wire
from llm_manager.gateway.ingress.anthropic.cache import cache_ttl
from llm_manager.gateway.ingress.located import decode_at

_PDF, _SOME_IMAGE = "application/pdf", "image/*"


def media_parts(raw: Raw, kind: str, path: str) -> list[Part] | None:
    """Translate a block that people and tools may both say; None when it is of another kind.

    Raises:
        UnsupportedParameter: the block asks for citations, which only Anthropic gives.
    """
    match kind:
        case "text":
            text = decode_at(raw, wire.TextBlock, path=path)
            return [Text(text=text.text, cache_ttl=cache_ttl(text.cache_control))]
        case "image":
            image = decode_at(raw, wire.ImageBlock, path=path)
            media = _media(image.source, f"{path}.source", kind="image")
            return [replace(media, cache_ttl=cache_ttl(image.cache_control))]
        case "document":
            return _document(decode_at(raw, wire.DocumentBlock, path=path), path)
        case "search_result":
            return [_search_result(decode_at(raw, wire.SearchResultBlock, path=path), path)]
        case _:
            return None


def _document(block: wire.DocumentBlock, path: str) -> list[Part]:
    _refuse_citations(block.citations, path)
    ttl, source = cache_ttl(block.cache_control), block.source
    # what a document is called and about is read by the model, so it is told in words
    about = [text for text in (block.title, block.context) if text]
    match source:
        case wire.TextSource():
            return [Text(text="\n".join([*about, source.data]), cache_ttl=ttl)]
        case wire.ContentSource():
            return [*(Text(text=text) for text in about), *_content(source.content, f"{path}.source.content")]
        case _:
            media = _media(source, f"{path}.source", kind="document")
            told: list[Part] = [Text(text=block.context)] if block.context else []
            return [*told, replace(media, filename=block.title or "", cache_ttl=ttl)]


def _content(content: str | Sequence[Raw], path: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(text=content)]
    parts: list[Part] = []
    for number, raw in enumerate(content):
        where, kind = f"{path}[{number}]", wire.type_of(raw)
        said = media_parts(raw, kind, where) if kind in ("text", "image") else None
        if said is None:
            raise unknown_block(kind, where)
        parts += said
    return parts


def unknown_block(kind: str, path: str) -> InvalidRequest:
    """Return the refusal of a block that this model cannot take."""
    if not kind:
        return InvalidRequest(f"{path}.type is missing; it is required.", param=f"{path}.type")
    return UnsupportedParameter(
        f"{path} is of the type {kind[:100]!r}, which this model cannot take; remove it.", param=f"{path}.type"
    )


def _search_result(block: wire.SearchResultBlock, path: str) -> Text:
    _refuse_citations(block.citations, path)
    text = "".join(item.text for item in block.content)
    return Text(text=f"{block.title}\n{block.source}\n{text}", cache_ttl=cache_ttl(block.cache_control))


def _refuse_citations(citations: wire.CitationsConfig | None, path: str) -> None:
    if citations is not None and citations.enabled:
        raise UnsupportedParameter(
            f"{path}.citations: this model does not cite documents; switch them off.", param=f"{path}.citations"
        )


def _media(
    source: wire.Base64Source | wire.UrlSource | wire.FileSource, path: str, *, kind: Literal["image", "document"]
) -> Media:
    match source:
        case wire.Base64Source():
            return Media(mime_type=source.media_type, data=_bytes(source.data, f"{path}.data"))
        case wire.UrlSource():
            # an address without a type is a picture: that is the only medium for which OpenAI's dialect takes one
            return Media(mime_type="" if kind == "image" else _PDF, url=source.url)
        case wire.FileSource():
            return Media(mime_type=_SOME_IMAGE if kind == "image" else _PDF, file_id=source.file_id)


def _bytes(text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{path} is not base64: {error}.", param=path) from error
