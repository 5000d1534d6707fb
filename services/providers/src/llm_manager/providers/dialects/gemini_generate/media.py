"""Writes pictures, audio, video and documents as parts."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from llm_manager.core.facts import Facts
from llm_manager.core.messages import Media, Message
from llm_manager.providers.dialects.parts import media_in
from llm_manager.providers.dialects.policy import Policy

_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)


# The words that MediaResolution and PartMediaResolutionLevel have in common with OpenAI's `detail` (google-genai 3.4).
_RESOLUTIONS: Mapping[str, str] = {
    "": "",
    "auto": "",
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
}


def resolution_of(facts: Facts, media: Media, policy: Policy) -> str:
    """Return how closely to look at a medium, empty for the provider's own choice.

    Raises:
        UnsupportedParameter: it has no word for that, and the policy refuses.
    """
    level = _RESOLUTIONS.get(media.detail)
    if level is None:
        policy.unsupported(facts, "detail", hint="ask for low, high or auto")
    return level or ""


def resolution_of_all(facts: Facts, messages: Sequence[Message], policy: Policy) -> str:
    """Return how closely to look at all media of a request: models before the third generation take one word for all.

    Raises:
        UnsupportedParameter: as above, or different words are asked for.
    """
    seen = (media for media in media_in(messages) if not media.mime_type.startswith("audio/"))
    levels = {resolution_of(facts, media, policy) for media in seen}
    if len(levels) > 1:
        policy.unsupported(facts, "detail", hint="ask for the same at every picture, or choose a later model")
        return ""
    return levels.pop() if levels else ""


def media_part(facts: Facts, media: Media, *, resolution: str = "") -> dict[str, Any]:
    """Return `inlineData` for bytes and data URLs, `fileData` for addresses and for files of the provider.

    Any: JSON documents are built here.
    """
    part = _part(facts, media)
    return {**part, "mediaResolution": {"level": resolution}} if resolution else part


def _part(facts: Facts, media: Media) -> dict[str, Any]:
    if media.data is not None:
        return _inline(media.mime_type, base64.b64encode(media.data).decode())
    if media.url is not None and (match := _DATA_URL.fullmatch(media.url)):
        return _inline(match.group(1) or media.mime_type, match.group(2))
    address = media.url if media.url is not None else _address_of_file(facts, media.file_id or "")
    file: dict[str, Any] = {"fileUri": address}
    if mime_type := media.mime_type or mimetypes.guess_type(urlsplit(address).path)[0]:
        file["mimeType"] = mime_type
    return {"fileData": file}


def _inline(mime_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type or "application/octet-stream", "data": data}}


def _address_of_file(facts: Facts, file_id: str) -> str:
    # The API takes addresses only and refuses names such as files/abc (google-genai 3.4, FunctionResponsePart).
    return file_id if "://" in file_id else f"{facts.base_url}/v1beta/files/{file_id.removeprefix('files/')}"
