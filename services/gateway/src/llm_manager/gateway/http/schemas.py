"""The error body in the OpenAPI document."""

from __future__ import annotations

from typing import Any

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What happened and what to do."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field at fault."},
                "code": {"type": ["string", "null"], "description": "Stable; the provider's own for its refusals."},
            },
        }
    },
}


def error_response(description: str, *, example: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe an answer that is an error."""
    content: dict[str, Any] = {"schema": ERROR_SCHEMA}
    if example is not None:
        content["example"] = {"error": example}
    return {"description": description, "content": {"application/json": content}}
