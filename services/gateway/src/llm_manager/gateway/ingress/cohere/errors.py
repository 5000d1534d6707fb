"""Errors in Cohere's shape: text and id, beside them our code and the field at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.errors import code_of
from llm_manager.kit.sse import data_event

# Any: JSON documents are built here
Json = dict[str, Any]
DONE = data_event(b"[DONE]")
_HEAD = re.compile(r"^[a-z_]+")
# Neutral names of fields, as they stand in this dialect; every other name is the same.
_FIELDS: Mapping[str, str] = {
    "dimensions": "output_dimension",
    "input": "texts",
    "reasoning_budget": "thinking.token_budget",
    "reasoning_effort": "thinking",
    "stop": "stop_sequences",
    "top_k": "k",
    "top_p": "p",
}


def error_body(error: LlmManagerError, *, request_id: str) -> bytes:
    """Render an error. What a provider refused keeps the provider's own words."""
    members: Json = {"id": request_id, "message": error.message, "code": code_of(error) or error.code}
    if error.param:
        members["param"] = _HEAD.sub(lambda match: _FIELDS.get(match[0], match[0]), error.param)
    return msgspec.json.encode(members)


def failure_event(error: LlmManagerError, *, request_id: str) -> bytes:
    """Return the end of a broken stream, as Cohere's own ends (recordings/open/cohere, cohere-chat-9cc3eff75d)."""
    delta: Json = {"finish_reason": "ERROR", "error": error.message, "error_type": error.code}
    document = msgspec.json.encode({"type": "message-end", "id": request_id, "delta": delta})
    return data_event(document, event="message-end") + DONE
