"""What happens around every call of a gRPC client: deadline, token, trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from llm_manager.kit import telemetry

# Requests and responses are untyped in grpc: the generated code that makes the call knows them.
Message = Any
Details = grpc.aio.ClientCallDetails
Call = TypeVar("Call")
Continuation = Callable[[Details, Message], Awaitable[Call]]
_NOTHING = grpc.aio.Metadata()


class _Preparation:
    """Adds what every call carries. A call without a deadline is a mistake of the caller, told at once."""

    def __init__(self, token: str | None) -> None:
        self._authorization = None if token is None else f"Bearer {token}"

    def details(self, details: Details) -> Details:
        if details.timeout is None:
            method = details.method.decode() if isinstance(details.method, bytes) else details.method
            text = f"{method} was called without a timeout; every call needs a deadline."
            # grpc re-raises any other exception of an interceptor once more when it collects the call
            raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, _NOTHING, _NOTHING, details=text)
        headers: dict[str, str] = {}
        telemetry.inject(headers)
        if self._authorization is not None:
            headers["authorization"] = self._authorization
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        for key, value in headers.items():
            metadata[key] = value
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_Preparation, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Continuation[Call], client_call_details: Details, request: Message
    ) -> Call:
        return await continuation(self.details(client_call_details), request)


class _UnaryStream(_Preparation, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Continuation[Call], client_call_details: Details, request: Message
    ) -> Call:
        return await continuation(self.details(client_call_details), request)


class _StreamUnary(_Preparation, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Continuation[Call], client_call_details: Details, request_iterator: Message
    ) -> Call:
        return await continuation(self.details(client_call_details), request_iterator)


class _StreamStream(_Preparation, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Continuation[Call], client_call_details: Details, request_iterator: Message
    ) -> Call:
        return await continuation(self.details(client_call_details), request_iterator)


def client_interceptors(token: str | None) -> list[grpc.aio.ClientInterceptor]:
    """Return one interceptor for each shape of call; grpc asks for four classes."""
    return [_UnaryUnary(token), _UnaryStream(token), _StreamUnary(token), _StreamStream(token)]
