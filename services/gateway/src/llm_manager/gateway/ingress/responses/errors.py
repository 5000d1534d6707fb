"""Errors in OpenAI's shape: bodies, the error event of a stream, the error of a failed response, WebSocket errors."""

from __future__ import annotations

import msgspec

from llm_manager.core.errors import (
    InternalError,
    LimitReached,
    LlmManagerError,
    NotFound,
    PreviousResponseNotFound,
    ProviderRateLimited,
    RequestError,
    UpstreamRefused,
)
from llm_manager.gateway import errors as openai
from llm_manager.gateway.errors import Headers

# What an HTTP client would have acted on.
_TOLD_HEADERS = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry", b"x-request-id"})


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


def socket_error(body: bytes, *, status: int, headers: Headers) -> bytes:
    """Return the message that tells a WebSocket client why its request was refused.

    Args:
        body: the answer that the request would have got over HTTP, `headers` its headers.
    """
    error: dict[str, object] = msgspec.json.decode(body, type=dict[str, dict[str, object]])["error"]
    told = {name.decode(): value.decode("latin-1") for name, value in headers if name in _TOLD_HEADERS}
    return msgspec.json.encode({"type": "error", "status": status, "error": {**error, "headers": told}})


def broken_answer() -> bytes:
    """Return the message that an answer over a WebSocket broke off; over HTTP the connection ends instead."""
    error = InternalError("The gateway failed; its log of this request says more.")
    return socket_error(openai.error_body(error), status=error.http_status, headers=[])


def connection_limit(seconds: float) -> bytes:
    """Return the message with which a connection is closed that was open for as long as it may be."""
    return msgspec.json.encode(
        {
            "type": "error",
            "status": 400,
            "error": {
                "type": "invalid_request_error",
                "code": "websocket_connection_limit_reached",
                "message": f"This connection was open for {seconds / 60:g} minutes; open a new one to go on.",
                "param": None,
            },
        }
    )


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
