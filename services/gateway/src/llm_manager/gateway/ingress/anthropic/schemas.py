"""The OpenAPI document of the routes in Anthropic's dialect."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]  # OpenAPI is open-ended JSON
Responses = dict[int | str, Schema]

_SECURED: Schema = {"security": [{"ApiKey": []}]}
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OBJECT: Schema = {"type": "object"}
_MODEL: Schema = {"type": "string", "description": "Configuration, alias, or `<provider>/<upstream model>`."}
_TEXT_OR_BLOCKS: Schema = {"oneOf": [_TEXT, {"type": "array", "items": _OBJECT}]}
_PROMPT: Schema = {
    "model": _MODEL,
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _TEXT_OR_BLOCKS},
        },
    },
    "system": _TEXT_OR_BLOCKS,
    "tools": {"type": "array", "items": _OBJECT},
    "tool_choice": _OBJECT,
    "thinking": _OBJECT,
    "output_config": _OBJECT,
}
_MESSAGES_BODY: Schema = {
    "type": "object",
    "required": ["model", "messages", "max_tokens"],
    "additionalProperties": True,
    "description": "Anthropic's request; fields that are not listed go to providers that know them.",
    "properties": {
        **_PROMPT,
        "max_tokens": _COUNT,
        "stream": {"type": "boolean", "default": False},
        "stop_sequences": {"type": "array", "items": _TEXT},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "top_k": _COUNT,
        "metadata": {"type": "object", "properties": {"user_id": _TEXT}},
    },
}
_COUNT_BODY: Schema = {
    "type": "object",
    "required": ["model", "messages"],
    "additionalProperties": True,
    "properties": _PROMPT,
}
_USAGE: Schema = {
    "type": "object",
    "description": "input_tokens leaves out what the cache gave or took; output_tokens includes thinking.",
    "properties": {
        "input_tokens": _COUNT,
        "cache_read_input_tokens": _COUNT,
        "cache_creation_input_tokens": _COUNT,
        "cache_creation": _OBJECT,
        "output_tokens": _COUNT,
        "output_tokens_details": _OBJECT,
        "is_estimated": {"type": "boolean", "description": "Present and true when the provider reported nothing."},
    },
}
_MESSAGE: Schema = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
    "properties": {
        "id": _TEXT,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": _TEXT,
        "content": {
            "type": "array",
            "items": _OBJECT,
            "description": "What only another provider understands comes as one redacted_thinking block at the end; "
            "send it back unchanged, and the provider gets its blocks back byte for byte.",
        },
        "stop_reason": {"type": ["string", "null"]},
        "stop_sequence": {"type": ["string", "null"]},
        "usage": _USAGE,
    },
}
_ERROR: Schema = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": _TEXT, "message": {"type": "string", "description": "What happened, what to do."}},
        },
        "request_id": _TEXT,
    },
}


def _json(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Schema) -> Schema:
    return {**_SECURED, "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_ERRORS: Responses = {
    400: _json(_ERROR, "A field is missing, wrong, or not supported by the model."),
    401: _json(_ERROR, "The API key is missing or not good."),
    404: _json(_ERROR, "There is no such model."),
    429: _json(_ERROR, "A budget or limit of the platform or the provider is reached."),
    "5XX": _json(_ERROR, "The provider or the platform failed; `retry-after` says when to come back."),
}
MESSAGES = _body(_MESSAGES_BODY)
MESSAGES_RESPONSES: Responses = {
    200: {
        "description": "The message; with `stream: true` named events, from message_start to message_stop.",
        "content": {"application/json": {"schema": _MESSAGE}, "text/event-stream": {"schema": _TEXT}},
    },
    **_ERRORS,
}
COUNT_TOKENS = _body(_COUNT_BODY)
COUNT_TOKENS_RESPONSES: Responses = {
    200: _json(
        {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": _COUNT}},
        "Tokens of the prompt. Where the provider cannot count, an estimate, and the header "
        "`x-llm-manager-usage-source: estimated` says so.",
    ),
    **_ERRORS,
}
