"""The OpenAPI document of the hot routes, which are not described by pydantic models."""

from __future__ import annotations

from typing import Any

from llm_manager.gateway.http.schemas import error_response

Schema = dict[str, Any]  # OpenAPI is open-ended JSON

BEARER: Schema = {"type": "http", "scheme": "bearer", "description": "An API key, `lm_live_…`."}
SECURED: Schema = {"security": [{"ApiKey": []}]}
LIST_MODELS: Schema = {
    **SECURED,
    "parameters": [
        {
            "name": "refresh",
            "in": "query",
            "description": "true asks the providers again instead of using what is remembered.",
            "schema": {"type": "boolean", "default": False},
        }
    ],
}

_TEXT: Schema = {"type": "string"}
MODEL: Schema = {"type": "string", "description": "Configuration, alias, or `<provider>/<upstream model>`."}
COUNT: Schema = {"type": "integer", "minimum": 0}
USAGE: Schema = {
    "type": ["object", "null"],
    "description": "OpenAI's totals; prompt_tokens includes cached tokens, completion_tokens reasoning. null: unknown.",
    "properties": {
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": {"type": "object"},
        "completion_tokens_details": {"type": "object"},
        "is_estimated": {"type": "boolean", "description": "Present and true when the provider reported nothing."},
        "cost": {
            "type": ["number", "null"],
            "description": "Exact USD; null when no price is known. Absent with `x-llm-manager-cost: off`.",
        },
    },
}
_COST_SWITCH: Schema = {
    "name": "x-llm-manager-cost",
    "in": "header",
    "required": False,
    "description": "`off` leaves `cost` out of `usage`.",
    "schema": {"type": "string", "enum": ["on", "off"]},
}
_BLOCKS: Schema = {
    "type": "array",
    "description": "Blocks of the provider that answered, which only it understands (signatures, server tools). An "
    "answer carries them; send the message back unchanged, and the provider gets them back byte for byte.",
    "items": {
        "type": "object",
        "required": ["dialect", "block"],
        "properties": {"dialect": _TEXT, "block": {"type": "object"}},
    },
}
_MESSAGE: Schema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": _TEXT,
        "content": {},
        "provider_blocks": _BLOCKS,
        "cache_control": {
            "type": "object",
            "description": "How long to keep the prompt up to here; also on parts of content and on tools.",
            "properties": {"type": {"const": "ephemeral"}, "ttl": {"enum": ["5m", "1h"]}},
        },
    },
}
_CHAT_BODY: Schema = {
    "type": "object",
    "required": ["model", "messages"],
    "additionalProperties": True,
    "description": "OpenAI's chat request; fields that are not listed go to providers that know them.",
    "properties": {
        "model": MODEL,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": _MESSAGE,
        },
        "stream": {"type": ["boolean", "null"], "default": False},
        "stream_options": {"type": ["object", "null"], "properties": {"include_usage": {"type": "boolean"}}},
        "tools": {"type": "array", "items": {"type": "object"}},
        "tool_choice": {},
        "parallel_tool_calls": {"type": "boolean"},
        "response_format": {"type": "object"},
        "max_completion_tokens": {"type": "integer", "minimum": 1},
        "max_tokens": {"type": "integer", "minimum": 1, "description": "Old name of max_completion_tokens."},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "seed": {"type": "integer"},
        "stop": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        "n": {"type": "integer", "minimum": 1, "maximum": 128},
        "logprobs": {"type": "boolean"},
        "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
        "reasoning_effort": _TEXT,
        "reasoning": {
            "type": "object",
            "description": "Reasoning in OpenRouter's words.",
            "properties": {
                "effort": _TEXT,
                "max_tokens": COUNT,
                "exclude": {"type": "boolean"},
                "enabled": {"type": "boolean"},
            },
        },
        "thinking": {
            "type": "object",
            "description": "Reasoning in Anthropic's words.",
            "properties": {"type": _TEXT, "budget_tokens": COUNT, "display": _TEXT},
        },
        "user": {"type": "string", "description": "End user, kept in the ledger."},
        "safety_identifier": {"type": "string", "description": "End user, kept in the ledger; wins over user."},
    },
}
_COMPLETION: Schema = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": COUNT,
        "model": _TEXT,
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": USAGE,
    },
}
_EMBEDDINGS_BODY: Schema = {
    "type": "object",
    "required": ["model", "input"],
    "additionalProperties": True,
    "properties": {
        "model": MODEL,
        "input": {"oneOf": [_TEXT, {"type": "array", "items": {}}]},
        "dimensions": {"type": "integer", "minimum": 1},
        "encoding_format": {
            "type": "string",
            "description": "`float`, `base64`, or what a provider of OpenAI's dialect takes beside them.",
        },
        "input_type": {
            "type": "string",
            "description": "What the vectors are for, where a model makes a difference.",
            "enum": ["search_document", "search_query", "classification", "clustering", "similarity"],
        },
        "user": _TEXT,
    },
}
_VECTORS: Schema = {
    "type": "object",
    "properties": {
        "object": {"const": "list"},
        "data": {"type": "array", "items": {"type": "object"}},
        "model": _TEXT,
        "usage": USAGE,
    },
}
_ONE_MODEL: Schema = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {"id": _TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": _TEXT},
}
_EXAMPLE_MODEL = {"id": "gpt-4.1-mini", "object": "model", "created": 1763942400, "owned_by": "openai"}
_EXAMPLE_CHAT = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
_EXAMPLE_ANSWER = {
    "id": "chatcmpl-01",
    "object": "chat.completion",
    "created": 1763942400,
    "model": "echo",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0},
}


def body(schema: Schema, example: Schema) -> Schema:
    """Return the description of an operation that takes a body."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {**SECURED, "parameters": [_COST_SWITCH], "requestBody": {"required": True, "content": content}}


def answer(description: str, schema: Schema, example: Schema) -> Schema:
    """Return the description of a good answer and its headers."""
    headers = {
        f"x-llm-manager-{name}": {"description": text, "schema": {"type": "string"}}
        for name, text in {
            "cost": "USD, when known before the body.",
            "provider": "Provider that answered.",
            "model": "Model asked of it.",
            "attempts": "Attempts that were made.",
            "overhead-ms": "Milliseconds spent in the gateway.",
            "upstream-request-id": "The provider's request id.",
        }.items()
    }
    headers["x-request-id"] = {"description": "Id of the request.", "schema": {"type": "string"}}
    return {
        "description": description,
        "headers": headers,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_UNKNOWN_MODEL = {
    "message": "The model 'gpt-4.1-mni' does not exist or your app may not use it. Did you mean gpt-4.1-mini?",
    "type": "invalid_request_error",
    "param": "model",
    "code": "model_not_found",
}
ERRORS: dict[int | str, Schema] = {
    400: error_response("A field is wrong, or the provider refused it; `param` names it."),
    401: error_response("The API key is missing, wrong or revoked; never the provider's own 401."),
    404: error_response("The model is unknown.", example=_UNKNOWN_MODEL),
    413: error_response("The body is too large."),
    415: error_response("The body is not said to be JSON."),
    429: error_response("A limit of ours (`gateway_rate_limited`) or of the provider (its own code)."),
    502: error_response("The provider failed, refused our credentials or broke its own format."),
    503: error_response("No worker serves the provider, or this gateway drains; retry."),
    504: error_response("The provider was silent for too long."),
}
_EVENTS = {
    "schema": {"type": "string"},
    "example": 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    "data: [DONE]\n\n",
}

CHAT = body(_CHAT_BODY, _EXAMPLE_CHAT)
_chat_answer = answer("The answer; server-sent events with `stream: true`.", _COMPLETION, _EXAMPLE_ANSWER)
_chat_answer["content"]["text/event-stream"] = _EVENTS
CHAT_RESPONSES: dict[int | str, Schema] = {200: _chat_answer, **ERRORS}
EMBEDDINGS = body(_EMBEDDINGS_BODY, {"model": "echo-embedding", "input": "Hello"})
_EXAMPLE_VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "model": "echo-embedding",
    "usage": {"prompt_tokens": 1, "total_tokens": 1, "cost": 0},
}
EMBEDDINGS_RESPONSES: dict[int | str, Schema] = {200: answer("The vectors.", _VECTORS, _EXAMPLE_VECTORS), **ERRORS}
_LIST = {"type": "object", "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _ONE_MODEL}}}
MODELS_RESPONSES: dict[int | str, Schema] = {
    200: {
        "description": "What there is.",
        "content": {"application/json": {"schema": _LIST, "example": {"object": "list", "data": [_EXAMPLE_MODEL]}}},
    },
    401: ERRORS[401],
}
MODEL_RESPONSES: dict[int | str, Schema] = {
    200: {
        "description": "The model.",
        "content": {"application/json": {"schema": _ONE_MODEL, "example": _EXAMPLE_MODEL}},
    },
    401: ERRORS[401],
    404: ERRORS[404],
}
