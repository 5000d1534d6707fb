"""Errors in OpenAI's shape: bodies, the error event of a stream, the error of a failed response."""

from __future__ import annotations

import msgspec

from llm_manager.core.errors import (
    LimitReached,
    LlmManagerError,
    NotFound,
    PreviousResponseNotFound,
    ProviderRateLimited,
    RequestError,
    UpstreamRefused,
)
from llm_manager.gateway import errors as openai


def not_found(response_id: str) -> NotFound:
    """Say that there is no such response; whether another app has one is not said."""
    return NotFound(f"There is no response {response_id[:100]!r}; it may have expired or was not stored.")


def previous_not_found(response_id: str) -> PreviousResponseNotFound:
    """Say that a chain is broken, and what to do."""
    return PreviousResponseNotFound(
        f"Previous response with id {response_id[:100]!r} not found; it may have expired or was not stored. Send the "
        "whole conversation as input instead.",
        param="previous_response_id",
    )


def error_body(error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG001 # it is in the headers
    """Render an error as the body of an HTTP answer."""
    return openai.error_body(error)


def error_members(error: LlmManagerError) -> dict[str, object]:
    """Return message, type, param and code of an error."""
    return msgspec.json.decode(openai.error_body(error), type=dict[str, dict[str, object]])["error"]


def error_event(error: LlmManagerError, *, sequence_number: int) -> dict[str, object]:
    """Return the event of a stream that breaks.

    OpenAI's reference has the members at the top; its server puts them under `error`, and there its SDK looks before
    it raises (openai-python 3.54 `_streaming.py:98`). Both are written.
    """
    members = error_members(error)
    return {
        "type": "error",
        "code": members["code"],
        "message": members["message"],
        "param": members["param"],
        "sequence_number": sequence_number,
        "error": members,
    }


def failure(error: LlmManagerError) -> dict[str, object]:
    """Return the `error` of a failed response; its codes are a closed list (`types/responses/response_error.py`)."""
    match error:
        case LimitReached() | ProviderRateLimited():
            code = "rate_limit_exceeded"
        case RequestError() | UpstreamRefused():
            code = "invalid_prompt"
        case _:
            code = "server_error"
    return {"code": code, "message": error.message}
