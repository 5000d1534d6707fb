"""Citations and log probabilities from the words of OpenAI's chats into those of its responses; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

Members = dict[str, object]

# What citations must have; a null in place of one is refused by strict clients.
# Source: openai-python 3.54 `types/responses/response_output_text.py`.
_CITATIONS: Mapping[str, Members] = {
    "url_citation": {"url": "", "title": "", "start_index": 0, "end_index": 0},
    "file_citation": {"file_id": "", "filename": "", "index": 0},
    "file_path": {"file_id": "", "index": 0},
    "container_file_citation": {"container_id": "", "file_id": "", "filename": "", "start_index": 0, "end_index": 0},
}


class _Token(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Token] | None = None


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


_logprobs = msgspec.json.Decoder(_Logprobs)


def annotation_of(json: bytes) -> Members | None:
    """Return a citation of a chat's message as one of an output text; None when it is not one that can be said."""
    annotation = msgspec.json.decode(json, type=Members)
    kind = str(annotation.get("type"))
    needed = _CITATIONS.get(kind)
    if needed is None:
        return None
    # chats keep the members of a citation under its type, responses beside it
    inner = annotation.get(kind)
    said = cast("Members", inner) if isinstance(inner, dict) else annotation  # JSON object
    known = {name: said[name] for name in needed if said.get(name) is not None}
    return {"type": kind, **needed, **known}


def logprobs_of(json: bytes) -> list[Members]:
    """Return log probabilities of a chat's choice as those of an output text; a refusal has none there."""
    return [_token(token) for token in _logprobs.decode(json).content or ()]


def _token(token: _Token) -> Members:
    return {**_plain(token), "top_logprobs": [_plain(top) for top in token.top_logprobs or ()]}


def _plain(token: _Token) -> Members:
    said = list(token.token.encode()) if token.bytes is None else token.bytes
    return {"token": token.token, "bytes": said, "logprob": token.logprob}
