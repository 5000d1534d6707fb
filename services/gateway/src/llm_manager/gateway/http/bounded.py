"""Routes of the framework whose bodies are bounded: FastAPI alone reads whatever comes, before it asks who sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope

from llm_manager.core.errors import InvalidRequest, PermissionRefused
from llm_manager.gateway.http.body import read_json_body
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.exchange import exchange_of

# A configuration with all its parameters takes a hundredth of it.
MOST_BYTES = 1024 * 1024
_BAD_REQUEST, UNPROCESSABLE = 400, 422
_BODY = "llm_manager.body"
# Is told of each request that somebody may not make, before the answer; see `users.refusals.RefusedRequests`.
REFUSALS: Built[Callable[[Request, PermissionRefused], Awaitable[None]]] = Built("refusals")


class BoundedRoute(APIRoute):
    """Takes JSON of at most one MiB, answers 422 to what is wrong in it, and tells of what is refused with 403."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:  # FastAPI's own type
        """Read the body before the framework does."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except InvalidRequest as error:
                # well-formed, and wrong in what it says (RFC 9110, 15.5.21); the hot routes keep OpenAI's 400
                if error.http_status == _BAD_REQUEST:
                    error.http_status = UNPROCESSABLE
                raise
            except PermissionRefused as error:
                await REFUSALS.of(request)(request, error)
                raise

        if self.body_field is None:
            return answer

        async def bounded(request: Request) -> Response:
            if _is_without_body(request):
                return await answer(request)
            body = await read_json_body(exchange_of(request.scope), request.receive, max_bytes=MOST_BYTES)
            request.scope[_BODY] = body
            return await answer(Request(request.scope, _replayed(body, request.receive)))

        return bounded


def _is_without_body(request: Request) -> bool:
    headers = request.headers
    is_announced = any(name in headers for name in ("content-type", "transfer-encoding"))
    return not is_announced and headers.get("content-length", "0") == "0"


def body_in(scope: Scope) -> bytes:
    """Return the body of a request that a bounded route took; empty where it has none."""
    return cast("bytes", scope.get(_BODY, b""))


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def once() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
