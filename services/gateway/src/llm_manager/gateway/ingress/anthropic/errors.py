"""Errors in Anthropic's shape (wire.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llm_manager.core.errors import LlmManagerError, UpstreamRefused

# Source: https://docs.claude.com/en/api/errors and anthropic 2.12 `types/shared/error_type.py`, read on 2026-11-24.
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED = frozenset({503, 529})
_OVERLOADED_TYPE = "overloaded_error"
_KNOWN = frozenset({*_TYPES.values(), "invalid_request_error", "api_error"})


def error_body(error: LlmManagerError, *, request_id: str) -> bytes:
    """Render an error. What a provider refused keeps the provider's own words."""
    return msgspec.json.encode(
        {"type": "error", "error": {"type": _type_of(error), "message": error.message}, "request_id": request_id}
    )


def _type_of(error: LlmManagerError) -> str:
    upstream, status = error.upstream, error.http_status
    if upstream is not None:
        if isinstance(error, UpstreamRefused) and upstream.type in _KNOWN:
            return upstream.type
        if upstream.type == _OVERLOADED_TYPE or upstream.http_status in _OVERLOADED:
            return _OVERLOADED_TYPE
    if status in _OVERLOADED:
        # nothing to change in the request: as much as can be is under way, here or at the provider
        return _OVERLOADED_TYPE
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
