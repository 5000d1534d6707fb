"""gRPC between services: one way to serve, one way to call, our errors on both ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from llm_manager.contracts.errors.v1 import error_pb2
from llm_manager.core.errors import (
    DeadlineExceeded,
    InternalError,
    LlmManagerError,
    RequestCancelled,
    StoreUnavailable,
)
from llm_manager.kit.errors_wire import from_proto
from llm_manager.kit.rpc_client import client_interceptors
from llm_manager.kit.rpc_server import ERROR_KEY, ServerInterceptor
from llm_manager.kit.secrets import Secret

__all__ = ["ERROR_KEY", "Register", "channel", "rpc_errors", "server", "to_error"]

Register = Callable[[grpc.aio.Server], None]

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_DRAIN_SECONDS = 10.0
# A dead peer is noticed within half a minute also when no call is open.
_KEEPALIVE = (("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000))
_SIZES = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
)


@asynccontextmanager
async def server(
    *,
    host: str,
    port: int,
    token: Secret | str | None,
    services: Sequence[Register],
    service_names: Sequence[str],
    drain_seconds: float = _DRAIN_SECONDS,
) -> AsyncGenerator[int]:
    """Serve gRPC while the body runs; yield the port (0 asks the system for a free one).

    Leaving stops new calls, lets open ones finish within `drain_seconds`, then cancels them. Health and reflection
    answer anybody; every other call needs the token, when there is one.

    Args:
        services: each registers its servicer, for example `partial(add_UsageServiceServicer_to_server, servicer)`.
        service_names: full names, for health and reflection.

    Raises:
        StoreUnavailable: the port cannot be bound.
    """
    plain = token.reveal() if isinstance(token, Secret) else token
    grpc_server = grpc.aio.server(
        interceptors=[ServerInterceptor(plain)],
        options=[
            *_SIZES,
            *_KEEPALIVE,
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.so_reuseport", 0),
        ],
    )
    for register in services:
        register(grpc_server)
    checks = _add_health(grpc_server)
    names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, grpc_server)
    try:
        bound = grpc_server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise InternalError(f"The gRPC port {host}:{port} cannot be opened; is it taken?") from error
    await grpc_server.start()
    for name in service_names:
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield bound
    finally:
        await checks.enter_graceful_shutdown()
        await grpc_server.stop(drain_seconds)


@asynccontextmanager
async def channel(address: str, *, token: Secret | str | None) -> AsyncGenerator[grpc.aio.Channel]:
    """Open a channel to a service while the body runs. Every call must name a `timeout`.

    The token and the trace context travel in the metadata. The connection is made at the first call and again after
    a loss; wrap calls in `rpc_errors` to get errors of our tree.
    """
    plain = token.reveal() if isinstance(token, Secret) else token
    # a lost server is asked again after 0.1 s at first and 2 s at most: restarts take about that long
    options = [
        *_SIZES,
        *_KEEPALIVE,
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    opened = grpc.aio.insecure_channel(address, options=options, interceptors=client_interceptors(plain))
    try:
        yield opened
    finally:
        await opened.close()


def _add_health(grpc_server: grpc.aio.Server) -> Any:
    # grpc_health comes without types for its asyncio half and for its generated code
    checks = cast("Any", health).aio.HealthServicer()
    cast("Any", health_pb2_grpc).add_HealthServicer_to_server(checks, grpc_server)
    return checks


@contextmanager
def rpc_errors() -> Generator[None]:
    """Turn a failed call inside the body into the error that the server raised, or into one that fits its status."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise to_error(error) from error


def to_error(error: grpc.aio.AioRpcError) -> LlmManagerError:
    """Rebuild the server's error; where it could not send one, say what the status means for the caller."""
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_KEY and isinstance(value, bytes):
            try:
                return from_proto(error_pb2.Error.FromString(value))
            except DecodeError:
                break
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return StoreUnavailable("The service does not answer; it may be restarting. Retry in a moment.")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded("The service did not answer in time.")
        case grpc.StatusCode.CANCELLED:
            return RequestCancelled("The call to the service was cancelled.")
        case grpc.StatusCode.UNAUTHENTICATED:
            # our own services disagree about their token: never shown as the caller's wrong API key
            return InternalError("The service refused our RPC token; both need the same RPC_TOKEN setting.")
        case _:
            return InternalError(f"The service failed with gRPC status {error.code().name}.")
