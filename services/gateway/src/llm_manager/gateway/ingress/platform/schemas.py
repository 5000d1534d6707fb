"""The OpenAPI document of the short form."""

from __future__ import annotations

from llm_manager.gateway.http.schemas import error_response
from llm_manager.gateway.ingress.openai import schemas
from llm_manager.gateway.ingress.openai.schemas import Schema

_TEXT: Schema = {"type": "string"}
_BODY: Schema = {
    "type": "object",
    "required": ["configuration"],
    "additionalProperties": False,
    "oneOf": [{"required": ["prompt"]}, {"required": ["messages"]}],
    "properties": {
        "configuration": schemas.MODEL,
        "prompt": {"type": "string", "minLength": 1},
        "messages": {
            "type": "array",
            "minItems": 1,
            "description": "Messages of OpenAI's chat, instead of prompt.",
            "items": {"type": "object", "required": ["role"], "properties": {"role": _TEXT, "content": {}}},
        },
        "context": {
            "oneOf": [_TEXT, {"type": "array", "items": _TEXT}],
            "description": "What the model should know; a system message before everything else.",
        },
        "parameters": {
            "type": "object",
            "description": "Parameters in OpenAI's names: temperature, max_tokens, tools, response_format and so on.",
        },
        "extension": {"type": "object", "description": "Parameters that only some providers know."},
        "stream": {"type": "boolean", "default": False},
        "user": {"type": "string", "description": "End user, kept in the ledger."},
    },
}
_ANSWER: Schema = {
    "type": "object",
    "required": ["text", "finish_reason", "model", "provider", "usage", "cost", "time_ms", "log_id"],
    "properties": {
        "text": _TEXT,
        "reasoning": _TEXT,
        "refusal": _TEXT,
        "tool_calls": {"type": "array", "description": "In OpenAI's form.", "items": {"type": "object"}},
        "annotations": {"type": "array", "description": "In OpenAI's form.", "items": {"type": "object"}},
        "provider_blocks": {
            "type": "array",
            "description": "To be sent back with the message; see /v1/chat/completions.",
            "items": {"type": "object"},
        },
        "finish_reason": {"enum": ["stop", "length", "tool_calls", "content_filter"]},
        "model": _TEXT,
        "provider": _TEXT,
        "usage": {
            "type": ["object", "null"],
            "description": "null when nobody knows.",
            "properties": {
                "input_tokens": schemas.COUNT,
                "output_tokens": schemas.COUNT,
                "total_tokens": schemas.COUNT,
                "cache_read_tokens": schemas.COUNT,
                "cache_write_tokens": schemas.COUNT,
                "reasoning_tokens": schemas.COUNT,
                "source": {"enum": ["provider", "estimated", "none"]},
            },
        },
        "cost": {
            "type": "object",
            "properties": {
                "amount_usd": {"type": ["number", "null"], "description": "Exact; null when no price is known."},
                "state": {"enum": ["priced", "reported", "unpriced"]},
            },
        },
        "time_ms": schemas.COUNT,
        "log_id": {"type": "string", "description": "Id of the request, as in x-request-id and in the ledger."},
    },
}
_EXAMPLE = {
    "text": "Hello",
    "finish_reason": "stop",
    "model": "echo",
    "provider": "echo",
    "usage": {
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "source": "provider",
    },
    "cost": {"amount_usd": 0, "state": "priced"},
    "time_ms": 12,
    "log_id": "0193a5b2-7c1e-7d57-b8a4-0f6a4f6e2c11",
}

GENERATE = schemas.body(_BODY, {"configuration": "echo", "prompt": "Hello"})
_answer = schemas.answer(
    "The answer. With `stream: true` server-sent events: `text`, `reasoning` or `refusal` as they come, and a last one "
    "with everything else.",
    _ANSWER,
    _EXAMPLE,
)
_answer["content"]["text/event-stream"] = {
    "schema": _TEXT,
    "example": 'data: {"text":"Hello"}\n\ndata: {"finish_reason":"stop","usage":{"input_tokens":1}}\n\n',
}
GENERATE_RESPONSES: dict[int | str, Schema] = {
    200: _answer,
    **schemas.ERRORS,
    422: error_response(
        "A field is missing, wrong or unknown, or the provider cannot do what it asks; `param` names it."
    ),
}
