"""Recorded provider requests as the requests of an OpenAI client."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from llm_manager.testing.recordings import Recording

Json = dict[str, Any]

_KIND_OF_HOST = {
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "llamacpp.local": "llamacpp",
}
# Perplexity's vectors are bytes, which its kind does not offer: only a client that knows them can read them.
_OF_CUSTOM = frozenset({"openai_compatible-embeddings-13c3ffb0c0"})
_OLLAMA_OPTIONS = {"num_predict": "max_tokens", "temperature": "temperature", "seed": "seed", "top_p": "top_p"}


def kind_of(recording: Recording) -> str:
    """Provider kind that serves a recording: the recorded host decides for OpenAI-compatible servers."""
    if recording.provider != "openai_compatible":
        return recording.provider
    if recording.id in _OF_CUSTOM:
        return "custom"
    return _KIND_OF_HOST.get(urlsplit(recording.url).hostname or "", "custom")


def client_body(recording: Recording) -> Json:
    """Body that an OpenAI client sends to get this recording's answer."""
    body: Json = dict(recording.request or {})
    if recording.wire.startswith("ollama."):
        is_embedding = recording.operation == "embeddings"
        body = _from_ollama(body, is_embedding=is_embedding, is_stream=recording.is_stream)
    # Azure names the model in the path, Mistral's agents by an id: both without a model in the body
    body["model"] = f"{kind_of(recording)}/{body.get('model') or 'unnamed'}"
    body.pop("agent_id", None)
    if body.get("stream"):
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return body


def _from_ollama(body: Json, *, is_embedding: bool, is_stream: bool) -> Json:
    if is_embedding:
        return {"model": body["model"], "input": body["input"]}
    made: Json = {"model": body["model"], "messages": [_message(m) for m in body["messages"]], "stream": is_stream}
    if body.get("tools"):
        # recorded clients of Ollama put keys beside `function` that OpenAI does not have
        made["tools"] = [{"type": "function", "function": tool["function"]} for tool in body["tools"]]
    for theirs, ours in _OLLAMA_OPTIONS.items():
        if theirs in (body.get("options") or {}):
            made[ours] = body["options"][theirs]
    if body.get("format") == "json":
        made["response_format"] = {"type": "json_object"}
    elif isinstance(body.get("format"), dict):
        made["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": body["format"]}}
    return made


def _message(message: Json) -> Json:
    made = {"role": message["role"], "content": message.get("content") or ""}
    if message.get("tool_calls"):
        made["tool_calls"] = [
            {
                "id": call.get("id") or f"call_{n}",
                "type": "function",
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.dumps(call["function"].get("arguments") or {}),
                },
            }
            for n, call in enumerate(message["tool_calls"])
        ]
    if message["role"] == "tool":
        made["tool_call_id"] = message.get("tool_call_id") or "call_0"
    return made
