"""What a turn in Gemini's dialect may hold, and its pictures, sounds and documents in neutral words.

Source: google-genai 3.4.0 `types.Part`, read on 2026-11-26.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import Media
from llm_manager.gateway.ingress.gemini.reading import Lenient, Strict, is_nothing, read

# Addresses that only Google can read: its Files API and its storage.
_GOOGLE_HOST, _WEB = "generativelanguage.googleapis.com", ("http", "https")
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high", "MEDIA_RESOLUTION_UNSPECIFIED": ""}
_URL_SAFE = str.maketrans("-_", "+/")


class UserPart(Strict, frozen=True):
    """What people and tools say; clients write out that it is no thought (gemini-chat-4d19f96f0c)."""

    text: str | None = None
    thought: bool = False
    inline_data: Raw = Raw()
    file_data: Raw = Raw()
    function_response: Raw = Raw()
    media_resolution: Raw = Raw()


class ModelPart(Lenient, frozen=True):
    """What a model says; whatever else is in it only Gemini understands."""

    text: str | None = None
    thought: bool = False
    thought_signature: str = ""
    inline_data: Raw = Raw()
    file_data: Raw = Raw()
    function_call: Raw = Raw()
    function_response: Raw = Raw()


# Those that neutral words can say.
SAID = frozenset({"text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall"})


class Blob(Strict, frozen=True):
    """Bytes."""

    mime_type: Annotated[str, Meta(min_length=1)]
    data: str
    display_name: str = ""


class FileData(Strict, frozen=True):
    """Address."""

    file_uri: Annotated[str, Meta(min_length=1)]
    mime_type: str = ""
    display_name: str = ""


class Resolution(Strict, frozen=True):
    """How closely to look."""

    level: str = ""


class FunctionCall(Strict, frozen=True):
    """A call that the model made."""

    name: Annotated[str, Meta(min_length=1)]
    id: str = ""
    args: Raw = Raw()


class FunctionResponse(Strict, frozen=True):
    """What a function answered."""

    name: str = ""
    id: str = ""
    response: Raw = Raw()
    parts: Raw = Raw()


class ResponsePart(Strict, frozen=True):
    """What a function answered beside words."""

    inline_data: Raw = Raw()
    file_data: Raw = Raw()


def media_of(part: UserPart | ModelPart | ResponsePart, *, path: str) -> Media | None:
    """Translate a picture, sound, film or document; None when the part has none.

    Raises:
        InvalidRequest: it has no type, or its bytes are no base64.
    """
    if not is_nothing(part.inline_data):
        where = f"{path}.inlineData"
        blob = read(part.inline_data, Blob, path=where)
        data = bytes_of(blob.data)
        if data is None:
            raise InvalidRequest(f"{where}.data is not base64.", param=f"{where}.data")
        return Media(mime_type=blob.mime_type, data=data, filename=blob.display_name)
    if not is_nothing(part.file_data):
        file = read(part.file_data, FileData, path=f"{path}.fileData")
        address = urlsplit(file.file_uri)
        is_public = address.scheme in _WEB and address.hostname != _GOOGLE_HOST
        return Media(
            mime_type=file.mime_type,
            url=file.file_uri if is_public else None,
            file_id=None if is_public else file.file_uri,
            filename=file.display_name,
        )
    return None


def detail_of(raw: Raw, *, path: str) -> str:
    """Translate how closely to look at one medium; empty when nothing is said.

    Raises:
        UnsupportedParameter: a level between low and high.
    """
    if is_nothing(raw):
        return ""
    level = read(raw, Resolution, path=path).level
    if level and level not in _DETAILS:
        raise UnsupportedParameter(
            f"{path}.level: this model knows MEDIA_RESOLUTION_LOW and MEDIA_RESOLUTION_HIGH only; choose one.",
            param=f"{path}.level",
        )
    return _DETAILS.get(level, "")


def bytes_of(text: str) -> bytes | None:
    """Decode base64 in either alphabet, padded or not, as protobuf takes it; None when it is none."""
    plain = text.translate(_URL_SAFE) if "-" in text or "_" in text else text
    try:
        return base64.b64decode(plain.rstrip("=") + "=" * (-len(plain.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
