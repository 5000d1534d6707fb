"""Ollama's log probabilities in OpenAI's shape: the same members, with those that Ollama may leave out."""

from __future__ import annotations

from llm_manager.providers.dialects.json_values import Json, tables
from llm_manager.providers.dialects.pointers import EXACT_ENCODER


def openai_logprobs(listed: object) -> bytes:
    """Return the list of a line as JSON of `logprobs`."""
    return EXACT_ENCODER.encode({"content": [_whole(item) for item in tables(listed)]})


def _whole(item: Json) -> Json:
    return {**_token(item), "top_logprobs": [_token(other) for other in tables(item.get("top_logprobs"))]}


def _token(item: Json) -> Json:
    token = str(item.get("token") or "")
    said = item.get("bytes")
    return {
        "token": token,
        "logprob": item.get("logprob", 0.0),
        "bytes": list(token.encode()) if said is None else said,
    }
