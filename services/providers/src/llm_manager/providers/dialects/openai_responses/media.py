"""Writes pictures, documents and audio as parts of a content."""

from __future__ import annotations

import base64
import mimetypes
import re
from typing import Any
from urllib.parse import urlsplit

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import Media

# Any: JSON documents are built here
Json = dict[str, Any]
_DATA_URL = re.compile(r"data:([^;,]*)[^,]*;base64,(.*)", re.DOTALL | re.IGNORECASE)
# OpenAI takes these two (openai 3.54, response_input_audio.py); other words go as they are, and it answers for itself.
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}


def media_part(media: Media) -> Json:
    """Return `input_image`, `input_audio` or `input_file`.

    Raises:
        InvalidRequest: audio that is not sent as data.
    """
    mime_type = _mime_type(media)
    if mime_type.startswith("audio/"):
        return _audio(media, mime_type)
    if mime_type.startswith("image/"):
        return _image(media, mime_type)
    return _file(media, mime_type)


def _mime_type(media: Media) -> str:
    """Return what a medium is, as far as anybody said; an address that says nothing is a picture's, as in chats."""
    if media.mime_type:
        return media.mime_type.lower()
    if media.url is not None and (match := _DATA_URL.fullmatch(media.url)):
        return match.group(1).lower()
    guessed, _ = mimetypes.guess_type(media.filename or urlsplit(media.url or "").path)
    is_picture = media.detail or (media.url is not None and not media.filename)
    return guessed or ("image/*" if is_picture else "")


def _image(media: Media, mime_type: str) -> Json:
    part: Json = {"type": "input_image"}
    if media.file_id is not None:
        part["file_id"] = media.file_id
    else:
        part["image_url"] = media.url if media.data is None else _data_url(media.data, mime_type)
    if media.detail:
        part["detail"] = media.detail
    return part


def _audio(media: Media, mime_type: str) -> Json:
    if media.data is not None:
        data = base64.b64encode(media.data).decode()
    elif media.url is not None and (match := _DATA_URL.fullmatch(media.url)):
        data = match.group(2)
    else:
        raise InvalidRequest("Audio must be sent as data, not as an address or a stored file.", param="messages")
    form = mime_type.removeprefix("audio/")
    return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(form, form)}}


def _file(media: Media, mime_type: str) -> Json:
    part: Json = {"type": "input_file"}
    if media.file_id is not None:
        part["file_id"] = media.file_id
    elif media.data is None and not _DATA_URL.fullmatch(media.url or ""):
        part["file_url"] = media.url
    else:
        part["filename"] = media.filename or "document"
        part["file_data"] = media.url if media.data is None else _data_url(media.data, mime_type)
    if media.detail:
        part["detail"] = media.detail
    return part


def _data_url(data: bytes, mime_type: str) -> str:
    return f"data:{mime_type or 'application/octet-stream'};base64,{base64.b64encode(data).decode()}"
