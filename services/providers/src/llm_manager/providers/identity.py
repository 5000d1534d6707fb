"""What a provider says about an answer as a whole, in whatever dialect it passes through (features S88)."""

from __future__ import annotations

import msgspec

from llm_manager.providers.dialects.port import Pieces


class Identity(msgspec.Struct, frozen=True):
    """The provider's id of the answer, and its fingerprint; empty where it gives none."""

    response_id: str = ""
    system_fingerprint: str = ""


class _Inner(msgspec.Struct):
    id: str | None = None


class _Document(msgspec.Struct):
    """The places: at the top (OpenAI, Cohere), `message` (Anthropic's stream), `response` (Responses' stream),
    `responseId` (Gemini)."""

    id: str | None = None
    system_fingerprint: str | None = None
    response_id: str | None = msgspec.field(default=None, name="responseId")
    # Cohere's rerank and Ollama's generate have text or nothing there
    message: _Inner | str | None = None
    response: _Inner | str | None = None


_decoder = msgspec.json.Decoder(_Document)


def identity_of(pieces: Pieces) -> Identity:
    """Return what the first piece of an answer says; empty where nothing can be found."""
    if pieces.info is not None:
        return Identity(pieces.info.id, pieces.info.system_fingerprint)
    if not pieces.native:
        return Identity()
    try:
        document = _decoder.decode(pieces.native[0])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Identity()
    inner = [part.id for part in (document.message, document.response) if isinstance(part, _Inner)]
    found = next((text for text in (document.id, document.response_id, *inner) if text), "")
    return Identity(found, document.system_fingerprint or "")
