"""Errors of the tree as the protobuf message that travels in bus frames, gRPC status details and usage events."""

from __future__ import annotations

import math

from llm_manager.contracts.errors.v1 import error_pb2
from llm_manager.core.errors import LlmManagerError, UpstreamFailure, class_of

_UINT32_MAX = 2**32 - 1
# An error must fit beside its detail into one bus message, whatever a provider put into it: the claim check leaves
# 24 KiB for it and the envelope.
_MESSAGE_BYTES = 8_192
_FIELD_BYTES = 1_024


def _text(value: str, limit_bytes: int = _FIELD_BYTES) -> str:
    # Providers send lone surrogates inside JSON strings; protobuf refuses them, and an error must always travel.
    return value[:limit_bytes].encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")


def _uint32(value: float) -> int:
    return min(max(int(value), 0), _UINT32_MAX)


def _milliseconds(seconds: float) -> int:
    return _uint32(math.ceil(round(seconds * 1000, 3))) if math.isfinite(seconds) else _UINT32_MAX


def to_proto(error: LlmManagerError) -> error_pb2.Error:
    """Return the error as it travels. The message is cut at 8 KiB, other texts at 1 KiB; `detail` is not part."""
    message = error_pb2.Error(
        code=error.code,
        message=_text(error.message, _MESSAGE_BYTES),
        http_status=_uint32(error.http_status),
        is_retryable=error.retryable,
        param=_text(error.param or ""),
    )
    if error.retry_after_seconds is not None:
        message.retry_after_ms = _milliseconds(error.retry_after_seconds)
    if error.upstream is not None:
        message.upstream.CopyFrom(
            error_pb2.UpstreamError(
                http_status=_uint32(error.upstream.http_status),
                code=_text(error.upstream.code),
                type=_text(error.upstream.type),
                request_id=_text(error.upstream.request_id),
                should_retry=error.upstream.should_retry,
            )
        )
    return message


def from_proto(message: error_pb2.Error) -> LlmManagerError:
    """Return the error of the class that owns the code; a code of a newer version becomes `InternalError`."""
    upstream = None
    if message.HasField("upstream"):
        upstream = UpstreamFailure(
            http_status=message.upstream.http_status,
            code=message.upstream.code,
            type=message.upstream.type,
            request_id=message.upstream.request_id,
            should_retry=message.upstream.should_retry if message.upstream.HasField("should_retry") else None,
        )
    cls = class_of(message.code)
    return cls(
        message.message,
        param=message.param or None,
        retry_after_seconds=message.retry_after_ms / 1000 if message.HasField("retry_after_ms") else None,
        http_status=message.http_status if message.http_status not in {0, cls.http_status} else None,
        # Only what is set can be told from what a worker of somebody else left out.
        retryable=True if message.is_retryable and not cls.retryable else None,
        upstream=upstream,
    )
