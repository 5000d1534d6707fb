"""The OpenAPI document of the Responses routes."""

from __future__ import annotations

from llm_manager.gateway.http.schemas import error_response
from llm_manager.gateway.ingress.openai.schemas import COUNT as NUMBER
from llm_manager.gateway.ingress.openai.schemas import ERRORS, MODEL, SECURED, Schema, answer, body

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": ["boolean", "null"]}
_INPUT: Schema = {
    "description": "A text, or items: messages, calls and what came of them, reasoning, references to stored items.",
    "oneOf": [_TEXT, {"type": "array", "items": {"type": "object"}}],
}
_PREVIOUS: Schema = {
    "type": ["string", "null"],
    "description": "Id of a stored response of this app to go on from, whichever provider made it.",
}
_CREATE_BODY: Schema = {
    "type": "object",
    "required": ["model", "input"],
    "additionalProperties": True,
    "description": "OpenAI's request for a response; fields that are not listed go to providers that know them.",
    "properties": {
        "model": MODEL,
        "input": _INPUT,
        "instructions": {"type": ["string", "null"]},
        "stream": _FLAG,
        "store": {
            "type": ["boolean", "null"],
            "default": True,
            "description": "Keep the response for the retention time, so that it can be read and gone on from.",
        },
        "previous_response_id": _PREVIOUS,
        "tools": {"type": "array", "items": {"type": "object"}},
        "tool_choice": {},
        "parallel_tool_calls": _FLAG,
        "text": {"type": "object", "properties": {"format": {"type": "object"}, "verbosity": _TEXT}},
        "reasoning": {"type": "object", "properties": {"effort": _TEXT, "summary": _TEXT}},
        "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
        "include": {"type": "array", "items": _TEXT},
        "metadata": {"type": "object", "maxProperties": 16, "additionalProperties": _TEXT},
        "user": {"type": "string", "description": "End user, kept in the ledger."},
        "safety_identifier": {"type": "string", "description": "End user, kept in the ledger; wins over user."},
        "background": {"description": "Not possible here; a response is made while its request waits."},
        "conversation": {"description": "Not kept here; use previous_response_id."},
    },
}
_USAGE: Schema = {
    "type": ["object", "null"],
    "description": "input_tokens includes cached tokens, output_tokens reasoning. null: unknown.",
    "properties": {
        "input_tokens": NUMBER,
        "input_tokens_details": {"type": "object"},
        "output_tokens": NUMBER,
        "output_tokens_details": {"type": "object"},
        "total_tokens": NUMBER,
        "is_estimated": {"type": "boolean", "description": "Present and true when the provider reported nothing."},
        "cost": {
            "type": ["number", "null"],
            "description": "Exact USD; null when no price is known. Absent with `x-llm-manager-cost: off`.",
        },
    },
}
_RESPONSE: Schema = {
    "type": "object",
    "required": ["id", "object", "created_at", "status", "model", "output"],
    "properties": {
        "id": _TEXT,
        "object": {"const": "response"},
        "created_at": NUMBER,
        "status": {"enum": ["completed", "incomplete", "failed", "in_progress", "queued", "cancelled"]},
        "model": _TEXT,
        "output": {"type": "array", "items": {"type": "object"}},
        "store": {"type": "boolean", "description": "false also when it was to be stored and could not be."},
        "usage": _USAGE,
    },
}
_EXAMPLE: Schema = {
    "id": "resp_01",
    "object": "response",
    "created_at": 1763942400,
    "status": "completed",
    "model": "echo",
    "output": [
        {
            "id": "msg_010000",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ],
    "store": True,
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
        "cost": 0,
    },
}
_EVENTS: Schema = {
    "schema": _TEXT,
    "example": "event: response.output_text.delta\n"
    'data: {"type":"response.output_text.delta","sequence_number":4,"delta":"Hi"}\n\n',
}
_MISSING: Schema = error_response("There is no such response for this app, or it has expired.")
_STORE: dict[int | str, Schema] = {401: ERRORS[401], 404: _MISSING, 503: ERRORS[503]}


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


CREATE = body(_CREATE_BODY, {"model": "echo", "input": "Hello"})
_created = answer("The response; server-sent events with `stream: true`.", _RESPONSE, _EXAMPLE)
_created["content"]["text/event-stream"] = _EVENTS
CREATE_RESPONSES: dict[int | str, Schema] = {200: _created, **ERRORS}

COUNT = body(_CREATE_BODY, {"model": "claude", "input": "Hello"})
_COUNT: Schema = {
    "type": "object",
    "properties": {"object": {"const": "response.input_tokens"}, "input_tokens": NUMBER},
}
_COUNTED = {"object": "response.input_tokens", "input_tokens": 1}
COUNT_RESPONSES: dict[int | str, Schema] = {200: answer("The count.", _COUNT, _COUNTED), **ERRORS}

_COMPACT_BODY: Schema = {
    "type": "object",
    "required": ["model"],
    "additionalProperties": True,
    "properties": {
        "model": MODEL,
        "input": _INPUT,
        "previous_response_id": _PREVIOUS,
        "instructions": {"type": ["string", "null"], "description": "What must be kept."},
    },
}
COMPACT = body(_COMPACT_BODY, {"model": "echo", "input": "Hello"})
_COMPACTED: Schema = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "object": {"const": "response.compaction"},
        "created_at": NUMBER,
        "output": {"type": "array", "items": {"type": "object"}},
        "usage": _USAGE,
    },
}
_EXAMPLE_COMPACTED: Schema = {
    "id": "resp_02",
    "object": "response.compaction",
    "created_at": 1763942400,
    "output": [{"id": "cmp_02", "type": "compaction", "encrypted_content": "lm1.W10="}],
    "usage": _EXAMPLE["usage"],
}
COMPACT_RESPONSES: dict[int | str, Schema] = {
    200: answer("The conversation in short.", _COMPACTED, _EXAMPLE_COMPACTED),
    **ERRORS,
}

RETRIEVE: Schema = {
    **SECURED,
    "parameters": [
        _query("stream", "true returns the events that make the response up.", {"type": "boolean", "default": False}),
        _query("starting_after", "Number of the last event that is not wanted again.", NUMBER),
    ],
}
_READ: Schema = {
    "description": "The response, byte for byte as it was answered.",
    "content": {"application/json": {"schema": _RESPONSE, "example": _EXAMPLE}, "text/event-stream": _EVENTS},
}
RETRIEVE_RESPONSES: dict[int | str, Schema] = {200: _READ, **_STORE}
_DELETED: Schema = {"type": "object", "properties": {"id": _TEXT, "object": _TEXT, "deleted": {"const": True}}}
_EXAMPLE_DELETED: Schema = {"id": "resp_01", "object": "response", "deleted": True}
DELETE_RESPONSES: dict[int | str, Schema] = {
    200: {
        "description": "It is gone.",
        "content": {"application/json": {"schema": _DELETED, "example": _EXAMPLE_DELETED}},
    },
    **_STORE,
}
CANCEL_RESPONSES: dict[int | str, Schema] = {400: error_response("What is stored is over."), **_STORE}
ITEMS: Schema = {
    **SECURED,
    "parameters": [
        _query("limit", "The most items.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _query("after", "Id of the last item of the page before.", _TEXT),
        _query("order", "desc: newest first.", {"enum": ["asc", "desc"], "default": "desc"}),
    ],
}
_PAGE: Schema = {
    "type": "object",
    "properties": {
        "object": {"const": "list"},
        "data": {"type": "array", "items": {"type": "object"}},
        "first_id": _TEXT,
        "last_id": _TEXT,
        "has_more": {"type": "boolean"},
    },
}
_EXAMPLE_PAGE: Schema = {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}
ITEMS_RESPONSES: dict[int | str, Schema] = {
    200: {
        "description": "One page of items.",
        "content": {"application/json": {"schema": _PAGE, "example": _EXAMPLE_PAGE}},
    },
    **_STORE,
}
