"""Errors in Google's shape.

Source: https://cloud.google.com/apis/design/errors and google.rpc `code.proto`, read on 2026-11-26.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_manager.core.errors import AuthenticationFailed, LlmManagerError, UpstreamRefused

# Any: JSON documents are built here
Json = dict[str, Any]
_TYPE = "type.googleapis.com/google.rpc."
_DOMAIN = "llm-manager"
# What a provider refused has the provider's status, which says more than the class of the error.
_STATUSES: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
}
# What a refused request may be called; the rest of google.rpc's words speak of failures, not of refusals.
_REFUSALS = frozenset(
    {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "NOT_FOUND", "PERMISSION_DENIED", "ALREADY_EXISTS"}
)
_KEY_REASON = "API_KEY_INVALID"
_HEAD = re.compile(r"^[a-z_]+")
# Neutral names of fields, as they stand in this dialect; every other name is the same, or the client's own.
_FIELDS: Mapping[str, str] = {
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "input": "content",
    "logprobs": "generationConfig.responseLogprobs",
    "max_tokens": "generationConfig.maxOutputTokens",
    "messages": "contents",
    "n": "generationConfig.candidateCount",
    "presence_penalty": "generationConfig.presencePenalty",
    "reasoning_budget": "generationConfig.thinkingConfig.thinkingBudget",
    "reasoning_effort": "generationConfig.thinkingConfig.thinkingLevel",
    "response_format": "generationConfig.responseSchema",
    "seed": "generationConfig.seed",
    "stop": "generationConfig.stopSequences",
    "temperature": "generationConfig.temperature",
    "tool_choice": "toolConfig.functionCallingConfig",
    "top_k": "generationConfig.topK",
    "top_logprobs": "generationConfig.logprobs",
    "top_p": "generationConfig.topP",
}


def error_body(error: LlmManagerError, *, request_id: str) -> bytes:
    """Render an error. What a provider refused keeps the provider's own words."""
    return msgspec.json.encode(
        {
            "error": {
                "code": error.http_status,
                "message": error.message,
                "status": _status_of(error),
                "details": _details(error, request_id),
            }
        }
    )


def _status_of(error: LlmManagerError) -> str:
    if not isinstance(error, UpstreamRefused):
        return error.grpc_status
    own = error.upstream.type if error.upstream is not None else ""
    return own if own in _REFUSALS else _STATUSES.get(error.http_status, error.grpc_status)


def _details(error: LlmManagerError, request_id: str) -> list[Json]:
    details = [_detail("ErrorInfo", reason=_reason_of(error), domain=_DOMAIN, metadata=_metadata(error))]
    if error.param:
        violation = {"field": _field(error.param), "description": error.message}
        details.append(_detail("BadRequest", fieldViolations=[violation]))
    if error.retry_after_seconds is not None:
        details.append(_detail("RetryInfo", retryDelay=_duration(error.retry_after_seconds)))
    return [*details, _detail("RequestInfo", requestId=request_id)]


def _detail(kind: str, **members: object) -> Json:
    return {"@type": _TYPE + kind, **members}


def _reason_of(error: LlmManagerError) -> str:
    # the reason that Google's own clients look for
    return _KEY_REASON if isinstance(error, AuthenticationFailed) else error.code.upper()


def _metadata(error: LlmManagerError) -> dict[str, str]:
    upstream = error.upstream
    if upstream is None:
        return {}
    said = {"upstreamCode": upstream.code, "upstreamType": upstream.type, "upstreamRequestId": upstream.request_id}
    return {name: text for name, text in said.items() if text}


def _field(param: str) -> str:
    return _HEAD.sub(lambda match: _FIELDS.get(match[0], match[0]), param)


def _duration(seconds: float) -> str:
    text = f"{max(0.0, seconds):.3f}".rstrip("0").rstrip(".")
    return f"{text}s"
