"""What happens around every call at a gRPC server: token, trace, error mapping, metrics."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import grpc
import grpc.aio
import structlog

from llm_manager.core.errors import InternalError, LlmManagerError
from llm_manager.kit import telemetry
from llm_manager.kit import telemetry_names as names
from llm_manager.kit.errors_wire import to_proto

log = structlog.stdlib.get_logger("kit")

ERROR_KEY = "error-bin"
_OPEN_TO_ANYBODY = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
# gRPC refuses metadata above 8 KiB, and base64 adds a third; the rest of the error needs little.
_MAX_ERROR_TEXT = 2_000

# Requests, responses and handlers are untyped in grpc: what a service registers decides.
Message = Any
Context = grpc.aio.ServicerContext[Message, Message]
Handler = Any  # grpc's type stubs give its members no types
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Checks the token (all calls but health and reflection) and maps what a handler raises."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN_TO_ANYBODY):
            return handler
        metadata = _texts(handler_call_details.invocation_metadata)
        if not self._is_allowed(metadata):
            return _around(handler, _refused)
        return _around(handler, lambda context: _guarded(context, method, metadata))

    def _is_allowed(self, metadata: Mapping[str, str]) -> bool:
        given = metadata.get("authorization", "").encode()
        return self._expected is None or hmac.compare_digest(given, self._expected)


def _around(handler: Handler, around: Callable[[Context], AbstractAsyncContextManager[None]]) -> Handler:
    """Return the same handler with a context manager around its call, for the four shapes of calls."""
    if handler.response_streaming:
        inner_stream = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Message, context: Context) -> AsyncIterator[Message]:
            async with around(context):
                responses = inner_stream(request, context)
                if isinstance(responses, AsyncIterator):
                    async for response in cast("AsyncIterator[Message]", responses):
                        yield response
                else:
                    await responses  # it writes by context.write

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(stream, handler.request_deserializer, handler.response_serializer)

    inner = handler.stream_unary if handler.request_streaming else handler.unary_unary

    async def single(request: Message, context: Context) -> Message:
        async with around(context):
            return await inner(request, context)

    make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    return make(single, handler.request_deserializer, handler.response_serializer)


@asynccontextmanager
async def _refused(context: Context) -> AsyncGenerator[None]:
    # no error of our tree: the caller's API key is not at fault, the services disagree about their token
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "The RPC token is missing or wrong.")
    yield


@asynccontextmanager
async def _guarded(context: Context, method: str, metadata: Mapping[str, str]) -> AsyncGenerator[None]:
    started = time.perf_counter()
    status = "OK"
    attributes = {names.RPC_SYSTEM_NAME: names.RPC_SYSTEM_GRPC, names.RPC_METHOD: method.removeprefix("/")}
    try:
        with telemetry.span(
            method.removeprefix("/"),
            kind=telemetry.SpanKind.SERVER,
            attributes=attributes,
            context=telemetry.extract(metadata),
        ):
            yield
    except LlmManagerError as error:
        status = error.grpc_status
        await _abort(context, error)
    except asyncio.CancelledError:
        status = "CANCELLED"
        raise
    except grpc.aio.AbortError:
        status = context.code().name if context.code() else "UNKNOWN"
        raise
    except Exception as error:
        status = InternalError.grpc_status
        log.exception("rpc_failed", method=method, exc_info=error)
        await _abort(context, InternalError("The service failed; its log says more."))
    finally:
        names.RPC_DURATION.labels(method.removeprefix("/"), status).observe(time.perf_counter() - started)


async def _abort(context: Context, error: LlmManagerError) -> None:
    message = to_proto(error)
    message.message = message.message[:_MAX_ERROR_TEXT]
    trailing = ((ERROR_KEY, message.SerializeToString()),)
    await context.abort(grpc.StatusCode[error.grpc_status], message.message, trailing)


def _texts(metadata: object) -> dict[str, str]:
    pairs = cast("Iterable[tuple[str, str | bytes]]", metadata or ())
    return {key: value for key, value in pairs if isinstance(value, str)}
