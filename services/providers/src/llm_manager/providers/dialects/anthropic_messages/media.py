"""Writes pictures and documents as blocks, and hints on what to keep of a prompt."""

from __future__ import annotations

import base64
import binascii
import re

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import Facts
from llm_manager.core.messages import CacheTtl, Media
from llm_manager.providers.dialects.json_values import Json

_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)
_IMAGE, _TEXT, _PDF = "image/", "text/", "application/pdf"
# What clients call a JPEG; the provider takes the registered name alone.
_REGISTERED = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}


def media_block(facts: Facts, media: Media) -> Json:
    """Return an `image` or a `document`.

    Raises:
        UnsupportedParameter: a medium that the provider cannot take.
        InvalidRequest: a text that is no text.
    """
    mime_type, source = _source(media)
    # an address without a type is a picture: OpenAI's dialect, which takes no types, has addresses for nothing else
    if mime_type.startswith(_IMAGE) or (not mime_type and media.url is not None):
        return {"type": "image", "source": source}
    if source["type"] == "base64" and mime_type.startswith(_TEXT):
        source = {"type": "text", "media_type": "text/plain", "data": _text(source["data"])}
    elif mime_type != _PDF and not (media.file_id is not None or mime_type.startswith(_TEXT)):
        raise UnsupportedParameter(
            f"{facts.title} takes no {mime_type or 'medium without a type'}; send pictures, PDF or text.",
            param="messages",
        )
    block: Json = {"type": "document", "source": source}
    if media.filename:
        block["title"] = media.filename
    return block


def kept(block: Json, ttl: CacheTtl) -> Json:
    """Return a block with the hint to keep the prompt up to it."""
    return {**block, "cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else block


def _source(media: Media) -> tuple[str, Json]:
    """Return the type and the source."""
    if media.file_id is not None:
        return media.mime_type, {"type": "file", "file_id": media.file_id}
    if media.url is not None:
        match = _DATA_URL.fullmatch(media.url)
        if match is None:
            return media.mime_type, {"type": "url", "url": media.url}
        mime_type, data = match.group(1) or media.mime_type, match.group(2)
    else:
        mime_type, data = media.mime_type, base64.b64encode(media.data or b"").decode()
    mime_type = mime_type.lower()
    mime_type = _REGISTERED.get(mime_type, mime_type)
    return mime_type, {"type": "base64", "media_type": mime_type, "data": data}


def _text(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"A text document is not UTF-8 in base64: {error}.", param="messages") from error
