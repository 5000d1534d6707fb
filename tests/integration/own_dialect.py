"""Recorded requests as a client of the recording's own dialect sends them to us, and what is compared in the answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from client_requests import kind_of

from llm_manager.testing.recordings import Recording

Json = dict[str, Any]

# What the recorded path becomes at our edge, by the recording's wire. `None` in a path: see the functions below.
_PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.responses": "/v1/responses",
    "openai.count_tokens": "/v1/responses/input_tokens",
    "openai.embeddings": "/v1/embeddings",
    "mistral.embeddings": "/v1/embeddings",
    "openai_compatible.embeddings": "/v1/embeddings",
    "openai_compatible.rerank": "/v1/rerank",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
    "cohere.chat.v2": "/v2/chat",
    "cohere.embeddings": "/v2/embed",
    "cohere.rerank": "/v2/rerank",
    "ollama.chat": "/api/chat",
    "ollama.generate": "/api/generate",
    "ollama.embeddings": "/api/embed",
}
_MODELS = {"anthropic": "/v1/models", "gemini": "/v1beta/models", "ollama": "/api/tags"}
_CLIENT_HEADERS = {"anthropic": {"anthropic-version": "2023-06-01"}}
# Clients ask with these dialects where the provider wants others; see why in docs/fidelity.md.
_NOT_SERVED = {
    "cohere.chat.v1": "Cohere's retired API v1 has no ingress here",
    "cohere.count_tokens": "Cohere's /v1/tokenize splits one text; it is not a count of a chat",
}
# Their clients' routes are not there yet; the providers themselves answer the clients of every other dialect.
_NO_INGRESS = ("ollama",)
_FIM = "Mistral's /v1/fim/completions has no ingress here"
_BACKGROUND = "a response that is made in the background has no ingress here"


def why_not_served(recording: Recording) -> str:
    """Return why nobody can ask this here; empty when it can be asked."""
    if recording.provider in _NO_INGRESS:
        return f"{recording.provider}'s own clients have no ingress here yet"
    if "/fim/" in recording.url:
        return _FIM
    if recording.wire == "openai.responses" and cast("Json", recording.request or {}).get("background"):
        return _BACKGROUND
    return _NOT_SERVED.get(recording.wire, "")


@dataclass(frozen=True)
class ClientRequest:
    """One HTTP request; `body` None for GET."""

    method: str
    path: str
    body: Json | None = None
    params: Json = field(default_factory=dict[str, Any])
    headers: dict[str, str] = field(default_factory=dict[str, str])


def own_request(recording: Recording) -> ClientRequest:
    """Return the request that a client of the recording's dialect sends."""
    kind, headers = kind_of(recording), _CLIENT_HEADERS.get(recording.provider, {})
    if recording.operation == "models":
        path = _MODELS.get(recording.provider, "/v1/models")
        return ClientRequest("GET", path, params={"refresh": "true"}, headers=headers)
    body = json.loads(json.dumps(recording.request or {}))
    if recording.provider == "gemini":
        return _gemini(recording, kind, body)
    path = _PATHS[recording.wire]
    if recording.wire == "openai.chat" and recording.operation == "completions":
        path = "/v1/completions"
    if recording.provider == "cohere" and "/v1/" in recording.url:
        path = path.replace("/v2/", "/v1/") if recording.operation == "rerank" else path
    # Azure names the model in the path, Mistral's agents by an id: both without a model in the body
    body["model"] = f"{kind}/{body.get('model') or 'unnamed'}"
    body.pop("agent_id", None)
    # a response that was stored when this one was recorded: here it belongs to nobody, so nobody may go on from it
    body.pop("previous_response_id", None)
    if recording.wire in ("openai.chat", "openai.completions") and body.get("stream"):
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    query = {"beta": "true"} if "beta=true" in recording.url else {}
    return ClientRequest("POST", path, body, query, headers)


def _gemini(recording: Recording, kind: str, body: Json) -> ClientRequest:
    url = urlsplit(recording.url)
    model, method = re.fullmatch(r".*/models/([^:]+):(\w+)", url.path).groups()  # pyright: ignore[reportOptionalMemberAccess] # every recorded path has both
    params = {name: value for name, value in parse_qsl(url.query) if name == "alt"}
    for item in body.get("requests", ()):
        item["model"] = f"models/{kind}/{model}"
    return ClientRequest("POST", f"/v1beta/models/{kind}/{model}:{method}", body, params)
