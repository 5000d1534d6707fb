"""The OpenAPI document of the routes in Cohere's dialect."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]  # OpenAPI is open-ended JSON
Responses = dict[int | str, Schema]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_NUMBER: Schema = {"type": "number"}
_OBJECT: Schema = {"type": "object"}
_OBJECTS: Schema = {"type": "array", "items": _OBJECT}
_PENALTY: Schema = {"type": "number", "minimum": -2, "maximum": 2}
_MODEL: Schema = {"type": "string", "description": "Configuration, alias, or `<provider>/<upstream model>`."}
_OTHERS = "Cohere's request; fields that are not listed go to providers that know them."
_CHAT_BODY: Schema = {
    "type": "object",
    "required": ["model", "messages"],
    "additionalProperties": True,
    "description": _OTHERS,
    "properties": {
        "model": _MODEL,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": ["system", "user", "assistant", "tool"]},
                    "content": {"oneOf": [_TEXT, _OBJECTS]},
                },
            },
        },
        "stream": {"type": "boolean", "default": False},
        "tools": _OBJECTS,
        "strict_tools": {"type": "boolean"},
        "tool_choice": {"enum": ["REQUIRED", "NONE"]},
        "response_format": _OBJECT,
        "max_tokens": _POSITIVE,
        "stop_sequences": _TEXTS,
        "temperature": {"type": "number", "minimum": 0},
        "seed": {"type": "integer"},
        "frequency_penalty": _PENALTY,
        "presence_penalty": _PENALTY,
        "k": _COUNT,
        "p": {"type": "number", "minimum": 0, "maximum": 1},
        "logprobs": {"type": "boolean"},
        "thinking": _OBJECT,
    },
}
_EMBED_BODY: Schema = {
    "type": "object",
    "required": ["model"],
    "additionalProperties": True,
    "description": f"{_OTHERS} Pictures and types of vectors beside float and base64 are for Cohere's own models.",
    "properties": {
        "model": _MODEL,
        "texts": _TEXTS,
        "inputs": _OBJECTS,
        "images": _TEXTS,
        "input_type": {"enum": ["search_document", "search_query", "classification", "clustering", "image"]},
        "output_dimension": _POSITIVE,
        "embedding_types": {
            "type": "array",
            "items": {"enum": ["float", "base64", "int8", "uint8", "binary", "ubinary"]},
        },
    },
}
_RERANK_BODY: Schema = {
    "type": "object",
    "required": ["model", "query", "documents"],
    "additionalProperties": True,
    "description": _OTHERS,
    "properties": {
        "model": _MODEL,
        "query": {"type": "string", "minLength": 1},
        "documents": {**_TEXTS, "minItems": 1},
        "top_n": {**_POSITIVE, "description": "Results that are wanted; all when absent."},
    },
}
_ESTIMATED: Schema = {"type": "boolean", "description": "Present and true when the provider reported nothing."}
_BILLED: Schema = {
    "type": "object",
    "properties": {"input_tokens": _COUNT, "output_tokens": _COUNT, "search_units": _COUNT, "image_tokens": _COUNT},
}
_META: Schema = {
    "type": "object",
    "properties": {"api_version": _OBJECT, "billed_units": _BILLED, "is_estimated": _ESTIMATED},
}
_USAGE: Schema = {
    "type": ["object", "null"],
    "description": "`tokens` is what was counted, `billed_units` what is charged.",
    "properties": {
        "billed_units": _BILLED,
        "tokens": {"type": "object", "properties": {"input_tokens": _COUNT, "output_tokens": _COUNT}},
        "cached_tokens": _COUNT,
        "is_estimated": _ESTIMATED,
    },
}
_ANSWER: Schema = {
    "type": "object",
    "required": ["id", "finish_reason", "message"],
    "properties": {
        "id": _TEXT,
        "finish_reason": {"enum": ["COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR_TOXIC"]},
        "message": {
            "type": "object",
            "required": ["role"],
            "properties": {
                "role": {"const": "assistant"},
                "content": _OBJECTS,
                "tool_plan": _TEXT,
                "tool_calls": _OBJECTS,
                "citations": _OBJECTS,
                "provider_blocks": {
                    **_OBJECTS,
                    "description": "What only another provider understands; send it back with the message unchanged.",
                },
            },
        },
        "usage": _USAGE,
        "logprobs": _OBJECTS,
    },
}
_VECTORS: Schema = {
    "type": "object",
    "required": ["id", "embeddings"],
    "properties": {
        "id": _TEXT,
        "embeddings": {
            "type": "object",
            "description": "Vectors by type, in the order of the texts.",
            "additionalProperties": {"type": "array", "items": {}},
        },
        "texts": _TEXTS,
        "meta": _META,
        "response_type": {"const": "embeddings_by_type"},
    },
}
_ORDER: Schema = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "id": _TEXT,
        "results": {
            "type": "array",
            "description": "Best first.",
            "items": {"type": "object", "properties": {"index": _COUNT, "relevance_score": _NUMBER}},
        },
        "meta": _META,
    },
}
_ERROR: Schema = {
    "type": "object",
    "required": ["id", "message", "code"],
    "properties": {
        "id": {"type": "string", "description": "Id of the request."},
        "message": {"type": "string", "description": "What happened, what to do."},
        "code": {"type": "string", "description": "Ours, as in the list of errors."},
        "param": {"type": "string", "description": "The field at fault, where there is one."},
    },
}


def _json(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Schema) -> Schema:
    content = {"application/json": {"schema": schema}}
    return {"security": [{"ApiKey": []}], "requestBody": {"required": True, "content": content}}


_ERRORS: Responses = {
    400: _json(_ERROR, "A field is missing, wrong, or not supported by the model."),
    401: _json(_ERROR, "The API key is missing or not good."),
    404: _json(_ERROR, "There is no such model."),
    429: _json(_ERROR, "A budget or limit of the platform or the provider is reached."),
    "5XX": _json(_ERROR, "The provider or the platform failed; `retry-after` says when to come back."),
}
CHAT = _body(_CHAT_BODY)
CHAT_RESPONSES: Responses = {
    200: {
        "description": "The answer; with `stream: true` named events, from message-start to message-end and `[DONE]`.",
        "content": {"application/json": {"schema": _ANSWER}, "text/event-stream": {"schema": _TEXT}},
    },
    **_ERRORS,
}
EMBED = _body(_EMBED_BODY)
EMBED_RESPONSES: Responses = {200: _json(_VECTORS, "The vectors."), **_ERRORS}
RERANK = _body(_RERANK_BODY)
RERANK_RESPONSES: Responses = {200: _json(_ORDER, "The order."), **_ERRORS}
