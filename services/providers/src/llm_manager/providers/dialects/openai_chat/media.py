"""Writes pictures, documents and audio as parts of a content."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import CacheTtl, Media
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parts import without_detail
from llm_manager.providers.dialects.policy import Policy

# OpenAI takes these two (openai 3.54, chat_completion_content_part_input_audio_param.py); other words go as they are,
# and the provider answers for itself.
_AUDIO_FORMATS: Mapping[str, str] = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_IMAGE, _AUDIO = "image/", "audio/"


def media_part(facts: Facts, media: Media, policy: Policy) -> Json | None:
    """Return a part, None when it is left out.

    Names that differ from OpenAI's stand in the facts' `renamed`: `file` is what a part with a document is called
    (Mistral's `document_url`), `file_url` the field of a file that takes an address (OpenRouter's `file_data`).

    Raises:
        InvalidRequest: audio that is not sent as data.
        UnsupportedParameter: a document by its address, where that has no place, or the detail of a document, and the
            policy refuses.
    """
    mime_type = media.mime_type.lower()
    if mime_type.startswith(_AUDIO):
        return _audio(media, mime_type)
    # An address without a type is a picture: it is the only medium that OpenAI's dialect has addresses for.
    is_picture = mime_type.startswith(_IMAGE) or (media.url is not None and not mime_type)
    if is_picture and media.file_id is None:
        return _picture(media)
    return _document(facts, media, policy)


def data_url(media: Media) -> str:
    """Return the bytes of a medium as a data URL."""
    data = base64.b64encode(media.data or b"").decode()
    return f"data:{media.mime_type or 'application/octet-stream'};base64,{data}"


def kept(block: Json, name: str, ttl: CacheTtl) -> Json:
    """Return a block with the hint to keep the prompt up to here, where the provider has a name for it."""
    if not ttl or not name:
        return block
    return {**block, name: {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}}


def _audio(media: Media, mime_type: str) -> Json:
    if media.data is None:
        raise InvalidRequest("Audio must be sent as data, not as an address or a stored file.", param="messages")
    form = mime_type.removeprefix(_AUDIO)
    data = base64.b64encode(media.data).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(form, form)}}


def _picture(media: Media) -> Json:
    image: Json = {"url": media.url or data_url(media)}
    if media.detail:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _document(facts: Facts, media: Media, policy: Policy) -> Json | None:
    without_detail(facts, (media,), policy)
    renamed = facts.parameters.renamed
    if media.file_id is not None:
        stored: Json = {"file_id": media.file_id}
        return {"type": "file", **stored} if "file" in renamed else {"type": "file", "file": stored}
    if (name := renamed.get("file")) is not None:
        part: Json = {"type": name, name: media.url or data_url(media)}
        return {**part, "document_name": media.filename} if media.filename else part
    field = "file_data"
    if media.url is not None and not media.url.startswith("data:"):
        field = renamed.get("file_url", "")
    if not field:
        policy.unsupported(facts, "messages", hint="it takes documents as data only; send a data URL")
        return None
    return {"type": "file", "file": {"filename": media.filename or "document", field: media.url or data_url(media)}}
