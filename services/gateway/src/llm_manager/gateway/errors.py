"""Errors as HTTP: status, headers and the body in OpenAI's shape (wire.md section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from llm_manager.core.errors import (
    AuthenticationFailed,
    LimitReached,
    LlmManagerError,
    MethodNotAllowed,
    ProviderRateLimited,
    RequestCancelled,
    RequestError,
    UpstreamError,
    UpstreamFailure,
    UpstreamRefused,
)
from llm_manager.core.http_headers import passing
from llm_manager.gateway.inference.contract import headers_of_failure

Headers = list[tuple[bytes, bytes]]

# What the SDKs of the Stainless family retry unless told otherwise (openai-python 3.54 `_base_client.py:933`).
_RETRIED_BY_CLIENTS = frozenset({408, 409, 429})


def error_body(error: LlmManagerError) -> bytes:
    """Render an error. What a provider refused keeps the provider's own words."""
    code, kind = code_of(error), _type_of(error)
    if isinstance(error, UpstreamRefused | ProviderRateLimited) and error.upstream is not None:
        kind = error.upstream.type or kind
    return msgspec.json.encode({"error": {"message": error.message, "type": kind, "param": error.param, "code": code}})


def code_of(error: LlmManagerError) -> str | None:
    """Return the code that a client looks for: the provider's own of what it refused, ours of everything else.

    A refusal without a code has none; a limit without one is told apart from our own limits by our code (T-10).
    """
    match error:
        case UpstreamRefused(upstream=UpstreamFailure(code=code)):
            return code or None
        case ProviderRateLimited(upstream=UpstreamFailure(code=code)) if code and code != str(error.http_status):
            return code
        case _:
            return error.code


def error_headers(error: LlmManagerError) -> Headers:
    """Return the headers of an error: how long to wait, whether a retry makes sense at all, what to do otherwise."""
    headers: Headers = [(b"content-type", b"application/json")]
    if isinstance(error, AuthenticationFailed):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if error.retry_after_seconds is not None:
        milliseconds = max(0, math.ceil(error.retry_after_seconds * 1000))
        headers.append((b"retry-after", str(math.ceil(milliseconds / 1000)).encode()))
        headers.append((b"retry-after-ms", str(milliseconds).encode()))
    status = error.http_status
    said = error.upstream.should_retry if error.upstream is not None else None
    if said is not None or (not error.retryable and (status in _RETRIED_BY_CLIENTS or status >= 500)):
        headers.append((b"x-should-retry", b"true" if said else b"false"))
    if error.upstream is not None and error.upstream.request_id.isprintable() and error.upstream.request_id:
        headers.append((b"x-llm-manager-upstream-request-id", error.upstream.request_id.encode("ascii", "replace")))
    return [*headers, *forwarded_headers(headers_of_failure(error.detail))]


def forwarded_headers(said: Mapping[str, str]) -> Headers:
    """Return what a worker passes on of a provider's headers. It chose them by its facts; anybody can be a worker."""
    return [(name.encode(), value.encode()) for name, value in passing(said, is_wanted=bool).items()]


def _type_of(error: LlmManagerError) -> str:
    match error:
        case RequestError() | UpstreamRefused():
            return "invalid_request_error"
        case LimitReached() | ProviderRateLimited():
            return "rate_limit_error"
        case UpstreamError():
            return "upstream_error"
        case RequestCancelled():
            return "cancelled_error"
        case _:
            return "server_error"
