"""Failures that a Responses answer with status 200 holds, by their codes: the wire names no HTTP status there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts
from llm_manager.providers.dialects.json_values import table
from llm_manager.providers.dialects.pointers import EXACT_DECODER
from llm_manager.providers.dialects.upstream_errors import error_in_stream

# The statuses that the same codes and types have where they come with one: openai 3.54 (PyPI),
# types/responses/response_error.py, and https://platform.openai.com/docs/guides/error-codes (read 2026-11-24). What is
# in none of the tables is a failure of the provider.
_STATUS: Mapping[str, int] = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "vector_store_timeout": 504,
}
_REFUSED = frozenset(
    {
        *("invalid_prompt", "invalid_request_error", "context_length_exceeded", "content_filter"),
        *("data_residency_mismatch", "bio_policy", "misalignment_policy_violation"),
        *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "invalid_image_mode"),
        *("image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation"),
        *("image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image"),
        "image_file_not_found",
    }
)


def failure_of(facts: Facts, document: bytes) -> LlmManagerError:
    """Return the error that an event `error`, a failed response or an error body stands for."""
    try:
        fields = table(EXACT_DECODER.decode(document))
    except msgspec.DecodeError:
        return error_in_stream(facts, document)
    error: dict[str, Any] = table(fields.get("error"))
    if not error:
        error = {name: fields[name] for name in ("code", "message", "param") if name in fields}
    for word in (error.get("code"), error.get("type")):
        status = _STATUS.get(str(word)) or (400 if word in _REFUSED else None)
        if status is not None:
            error = {"status_code": status, **error}
            break
    return error_in_stream(facts, msgspec.json.encode({"error": error}) if error else document)
