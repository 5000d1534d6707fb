"""Turns the framework's own refusals into errors of the tree, so that every body has one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypedDict, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from llm_manager.core.errors import InvalidRequest, LlmManagerError, MethodNotAllowed, RouteNotFound
from llm_manager.gateway.http.addresses import methods_at, right_address
from llm_manager.gateway.http.bounded import UNPROCESSABLE


class _Found(TypedDict):
    """One error of pydantic's."""

    loc: tuple[str | int, ...]
    type: str
    msg: str


def install(app: FastAPI) -> None:
    """Register the translations; Edge renders what they raise."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)


async def _http(request: Request, error: Exception) -> NoReturn:
    if isinstance(error.__cause__, LlmManagerError):
        # FastAPI makes every failure of reading a body a 400
        raise error.__cause__
    status = error.status_code if isinstance(error, HTTPException) else 500
    where = f"{request.method} {request.url.path[:200]}"
    if status == 404:
        raise RouteNotFound(f"Unknown request URL: {where}. {_advice(request)}")
    if status == 405:
        allowed = methods_at(request, request.scope["path"])
        refused = MethodNotAllowed(f"{where}: this address takes {' and '.join(allowed)} only.")
        refused.allowed = tuple(allowed)
        raise refused
    detail = str(error.detail)[:500] if isinstance(error, HTTPException) else "failed"
    if status < 500:
        raise InvalidRequest(f"{where}: {detail}.", http_status=status)
    raise LlmManagerError(f"{where}: {detail}.", http_status=status)


def _advice(request: Request) -> str:
    if (address := right_address(request)) is None:
        return "GET /v1/models lists the models, /openapi.json every address; docs/ of the project explains them."
    path: str = request.scope["path"]
    if address == f"/v1{path.rstrip('/')}":
        return f"Did you mean {address[:200]}? The base URL of OpenAI's clients ends in /v1."
    return f"Did you mean {address[:200]}?"


async def _validation(_: Request, error: Exception) -> NoReturn:
    found = cast("Sequence[_Found]", error.errors() if isinstance(error, RequestValidationError) else ())
    # the first token says where it was looked for: body, query, path
    where = _place(found)[1:]
    param = ".".join(map(str, where)) or None
    said = found[0].get("msg") if found else "it is wrong"
    is_malformed = bool(found) and found[0]["type"] == "json_invalid"
    raise InvalidRequest(
        f"{param or 'The request'}: {said}.", param=param, http_status=None if is_malformed else UNPROCESSABLE
    )


def _place(found: Sequence[_Found]) -> Sequence[str | int]:
    """Return where the first error is. A field that is never null (`fields.Absent`) is a choice to pydantic, which
    then names the choice as if it were a place.
    """
    if not found:
        return ()
    place = found[0]["loc"]
    for other in found[1:]:
        *field, _ = other["loc"]
        if other["type"] == "none_required" and [*place[: len(field)]] == field:
            return (*field, *place[len(field) + 1 :])
    return place
