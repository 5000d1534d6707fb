"""The OpenAPI document of completions and rerank."""

from __future__ import annotations

from llm_manager.gateway.ingress.openai import schemas
from llm_manager.gateway.ingress.openai.schemas import Schema

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "minItems": 1, "items": _TEXT}
_COMPLETION_BODY: Schema = {
    "type": "object",
    "required": ["model", "prompt"],
    "additionalProperties": True,
    "description": "A model that only chats gets the prompt as a user's message; what only models that complete texts "
    "can do (several prompts, token numbers, echo, best_of, logprobs, suffix) is refused for it.",
    "properties": {
        "model": schemas.MODEL,
        "prompt": {"oneOf": [_TEXT, {"type": "array", "minItems": 1, "items": {}}]},
        "suffix": _TEXT,
        "echo": {"type": "boolean"},
        "best_of": {"type": "integer", "minimum": 1},
        "logprobs": {"type": "integer", "minimum": 0},
        "stream": {"type": ["boolean", "null"], "default": False},
        "stream_options": {"type": ["object", "null"], "properties": {"include_usage": {"type": "boolean"}}},
        "max_tokens": {"type": "integer", "minimum": 1},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
        "seed": {"type": "integer"},
        "stop": {"oneOf": [_TEXT, _TEXTS]},
        "n": {"type": "integer", "minimum": 1, "maximum": 128},
        "user": {"type": "string", "description": "End user, kept in the ledger."},
    },
}
_COMPLETION: Schema = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "object": {"const": "text_completion"},
        "created": schemas.COUNT,
        "model": _TEXT,
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": schemas.USAGE,
    },
}
_EXAMPLE_COMPLETION = {
    "id": "cmpl-01",
    "object": "text_completion",
    "created": 1763942400,
    "model": "echo",
    "choices": [{"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0},
}
_DOCUMENT: Schema = {"type": "object", "required": ["text"], "properties": {"text": _TEXT}}
_RERANK_BODY: Schema = {
    "type": "object",
    "required": ["model", "query", "documents"],
    "additionalProperties": True,
    "properties": {
        "model": schemas.MODEL,
        "query": {"type": "string", "minLength": 1},
        "documents": {"type": "array", "minItems": 1, "items": {"oneOf": [_TEXT, _DOCUMENT]}},
        "top_n": {"type": "integer", "minimum": 1, "description": "Results that are wanted; all when absent."},
        "return_documents": {"type": "boolean", "default": False},
        "max_tokens_per_doc": {"type": "integer", "minimum": 1},
        "user": {"type": "string", "description": "End user, kept in the ledger."},
    },
}
_PLACE: Schema = {
    "type": "object",
    "properties": {"index": schemas.COUNT, "relevance_score": {"type": "number"}, "document": _DOCUMENT},
}
_RERANKED: Schema = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "model": _TEXT,
        "results": {"type": "array", "description": "Best first.", "items": _PLACE},
        "usage": schemas.USAGE,
        "meta": {"type": "object", "description": "What was billed, where Cohere's clients look for it."},
    },
}
_EXAMPLE_RERANKED = {
    "id": "rerank-01",
    "model": "rerank-v3.5",
    "results": [{"index": 1, "relevance_score": 0.83}],
    "usage": {"prompt_tokens": 0, "total_tokens": 0, "search_units": 1, "cost": 0.002},
    "meta": {"billed_units": {"search_units": 1}},
}

COMPLETIONS = schemas.body(_COMPLETION_BODY, {"model": "echo", "prompt": "Hello"})
_completion_answer = schemas.answer(
    "The completion; server-sent events with `stream: true`.", _COMPLETION, _EXAMPLE_COMPLETION
)
_completion_answer["content"]["text/event-stream"] = {
    "schema": _TEXT,
    "example": 'data: {"object":"text_completion","choices":[{"index":0,"text":"Hi","finish_reason":null}]}\n\n'
    "data: [DONE]\n\n",
}
COMPLETIONS_RESPONSES: dict[int | str, Schema] = {200: _completion_answer, **schemas.ERRORS}
RERANK = schemas.body(
    _RERANK_BODY, {"model": "cohere/rerank-v3.5", "query": "Who wrote Ruby?", "documents": ["Paris", "Matz"]}
)
RERANK_RESPONSES: dict[int | str, Schema] = {
    200: schemas.answer("The order.", _RERANKED, _EXAMPLE_RERANKED),
    **schemas.ERRORS,
}
