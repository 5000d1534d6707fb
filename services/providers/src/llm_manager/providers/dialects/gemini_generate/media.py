"""Writes pictures, audio, video and documents as parts."""

from __future__ import annotations

import base64
import mimetypes
import re
from typing import Any
from urllib.parse import urlsplit

from llm_manager.core.facts import Facts
from llm_manager.core.messages import Media

_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)


def media_part(facts: Facts, media: Media) -> dict[str, Any]:
    """Return `inlineData` for bytes and data URLs, `fileData` for addresses and for files of the provider.

    Any: JSON documents are built here.
    """
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
