"""Which shape an error has at which address."""

from __future__ import annotations

from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, LlmManagerError
from llm_manager.gateway.http.error_shapes import ErrorRule, shape_of


def first(error: LlmManagerError, *, request_id: str) -> bytes:
    return f"first {error.message} {request_id}".encode()


def second(error: LlmManagerError, *, request_id: str) -> bytes:
    return f"second {error.message} {request_id}".encode()


def third(error: LlmManagerError, *, request_id: str) -> bytes:
    return f"third {error.message} {request_id}".encode()


RULES = (
    ErrorRule(first, prefixes=("/v1/messages", "/api/")),
    ErrorRule(second, prefixes=("/v1/models",), header=b"anthropic-version"),
    ErrorRule(third, prefixes=("/v1/models",), infix=":generate"),
)
ADDRESSES: list[tuple[str, list[tuple[bytes, bytes]], bytes]] = [
    ("/v1/messages", [], b"first x r"),
    ("/v1/messages/count_tokens", [], b"first x r"),
    ("/api/chat", [], b"first x r"),
    ("/v1/models/m", [(b"host", b"h"), (b"anthropic-version", b"2023-06-01")], b"second x r"),
    ("/v1/models/m:generateContent", [], b"third x r"),
    ("/v1/models/m", [(b"host", b"h")], b'{"error":{"message":"x","type":"invalid_request_error"'),
    ("/v1/chat/completions", [(b"anthropic-version", b"2023-06-01")], b'{"error":{"message":"x"'),
    ("/v2/v1/messages", [], b'{"error":{"message":"x"'),
]


@pytest.mark.parametrize(("path", "headers", "wanted"), ADDRESSES, ids=[item[0] for item in ADDRESSES])
def test_the_first_rule_that_applies_decides_and_openai_s_shape_is_the_rest(
    path: str, headers: list[tuple[bytes, bytes]], wanted: bytes
) -> None:
    scope: dict[str, Any] = {"type": "http", "path": path, "headers": headers}
    assert shape_of(scope, RULES)(InvalidRequest("x"), request_id="r").startswith(wanted)
