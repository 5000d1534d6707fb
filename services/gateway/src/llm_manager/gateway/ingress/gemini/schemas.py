"""The OpenAPI document of the routes in Gemini's dialect."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]  # OpenAPI is open-ended JSON
Responses = dict[int | str, Schema]

_SECURED: Schema = {"security": [{"ApiKey": []}]}
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OBJECT: Schema = {"type": "object"}
_LIST: Schema = {"type": "array", "items": _OBJECT}


def _object(properties: Schema, *required: str, description: str = "") -> Schema:
    said: Schema = {"type": "object", "properties": properties}
    if required:
        said["required"] = list(required)
    return {**said, "description": description} if description else said


_CONTENT = _object(
    {"role": {"enum": ["user", "model"]}, "parts": _LIST},
    description="Parts have one of text, inlineData, fileData, functionCall, functionResponse. A thoughtSignature is "
    "opaque; send it back unchanged, and whoever wrote it gets it back byte for byte.",
)
_CONTENTS: Schema = {"type": "array", "minItems": 1, "items": _CONTENT}
_GENERATION_CONFIG = _object(
    {
        "maxOutputTokens": _COUNT,
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "topP": {"type": "number", "minimum": 0, "maximum": 1},
        "topK": _COUNT,
        "seed": {"type": "integer"},
        "stopSequences": {"type": "array", "items": _TEXT},
        "candidateCount": {"type": "integer", "minimum": 1},
        "responseMimeType": {"enum": ["text/plain", "application/json"]},
        "responseSchema": _OBJECT,
        "responseJsonSchema": _OBJECT,
        "thinkingConfig": _OBJECT,
    },
    description="Fields that are not listed go to providers that know them.",
)
_PROMPT = _object(
    {
        "contents": _CONTENTS,
        "systemInstruction": _CONTENT,
        "tools": _LIST,
        "toolConfig": _OBJECT,
        "generationConfig": _GENERATION_CONFIG,
        "safetySettings": _LIST,
        "cachedContent": _TEXT,
    },
    "contents",
    description="Gemini's request, in camel or snake case; fields that are not listed go to providers that know them.",
)
_ANSWER = _object(
    {
        "candidates": _LIST,
        "usageMetadata": _object(
            {
                "promptTokenCount": _COUNT,
                "cachedContentTokenCount": _COUNT,
                "candidatesTokenCount": _COUNT,
                "thoughtsTokenCount": _COUNT,
                "toolUsePromptTokenCount": _COUNT,
                "totalTokenCount": _COUNT,
            },
            description="Thoughts stand beside candidates, cached tokens inside the prompt.",
        ),
        "modelVersion": _TEXT,
        "responseId": _TEXT,
    },
    "candidates",
)
_ERROR = _object(
    {
        "error": _object(
            {
                "code": {"type": "integer", "description": "The HTTP status."},
                "message": {"type": "string", "description": "What happened and what to do."},
                "status": {"type": "string", "description": "A word of google.rpc.Code."},
                "details": _LIST,
            },
            *("code", "message", "status", "details"),
        )
    },
    "error",
)
_EMBED_REQUEST = _object(
    {
        "content": _CONTENT,
        "taskType": _TEXT,
        "title": _TEXT,
        "outputDimensionality": {"type": "integer", "minimum": 1},
    },
    "content",
)
_VECTOR = _object({"values": {"type": "array", "items": {"type": "number"}}}, "values")
_MODEL = _object(
    {
        "name": {"type": "string", "description": "`models/` and the name that requests use."},
        "displayName": _TEXT,
        "description": _TEXT,
        "supportedGenerationMethods": {"type": "array", "items": _TEXT},
    },
    "name",
)


def _json(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Schema, *parameters: Schema) -> Schema:
    content = {"application/json": {"schema": schema}}
    said: Schema = {**_SECURED, "requestBody": {"required": True, "content": content}}
    return {**said, "parameters": list(parameters)} if parameters else said


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_PATH: Schema = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": _TEXT,
    "description": "Configuration, alias, or `<provider>/<upstream model>`.",
}
_KEY_ERROR: Responses = {401: _json(_ERROR, "The API key is missing or not good.")}
_ERRORS: Responses = {
    400: _json(_ERROR, "A field is missing, wrong, or not supported by the model."),
    **_KEY_ERROR,
    404: _json(_ERROR, "There is no such model."),
    429: _json(_ERROR, "A budget or limit of the platform or the provider is reached."),
    "5XX": _json(_ERROR, "The provider or the platform failed; `retry-after` says when to come back."),
}
GENERATE = _body(_PROMPT, _PATH)
GENERATE_RESPONSES: Responses = {200: _json(_ANSWER, "The answer."), **_ERRORS}
STREAM = _body(
    _PROMPT, _PATH, _query("alt", {"enum": ["sse", "json"]}, "`sse` streams events, everything else one JSON array.")
)
STREAM_RESPONSES: Responses = {
    200: {
        "description": "The answer piece by piece. All pieces have one responseId; the last has usage and reasons.",
        "content": {
            "text/event-stream": {"schema": _TEXT},
            "application/json": {"schema": {"type": "array", "items": _ANSWER}},
        },
    },
    **_ERRORS,
}
COUNT_TOKENS = _body(
    _object({"contents": _CONTENTS, "generateContentRequest": _PROMPT}, description="One of the two."), _PATH
)
COUNT_TOKENS_RESPONSES: Responses = {
    200: _json(
        _object({"totalTokens": _COUNT, "cachedContentTokenCount": _COUNT}, "totalTokens"),
        "Tokens of the prompt. Where the provider cannot count, an estimate, and the header "
        "`x-llm-manager-usage-source: estimated` says so.",
    ),
    **_ERRORS,
}
EMBED = _body(_EMBED_REQUEST, _PATH)
EMBED_RESPONSES: Responses = {200: _json(_object({"embedding": _VECTOR}, "embedding"), "The vector."), **_ERRORS}
BATCH = _body(
    _object({"requests": {"type": "array", "minItems": 1, "items": _EMBED_REQUEST}}, "requests"), _PATH
)  # fmt: skip
BATCH_RESPONSES: Responses = {
    200: _json(_object({"embeddings": {"type": "array", "items": _VECTOR}}, "embeddings"), "Vectors, in order."),
    **_ERRORS,
}
LIST_MODELS: Schema = {
    **_SECURED,
    "parameters": [
        _query("pageSize", _COUNT, "At most 1000; all models in one page where it is not said."),
        _query("pageToken", _TEXT, "`nextPageToken` of the page before."),
    ],
}
MODELS_RESPONSES: Responses = {
    200: _json(_object({"models": {"type": "array", "items": _MODEL}, "nextPageToken": _TEXT}, "models"), "Models."),
    **_KEY_ERROR,
}
GET_MODEL: Schema = {**_SECURED, "parameters": [_PATH]}
MODEL_RESPONSES: Responses = {
    200: _json(_MODEL, "The model."),
    **_KEY_ERROR,
    404: _json(_ERROR, "There is no such model."),
}
