"""GET /v1/models for clients of Anthropic's dialect: the same addresses as OpenAI's, told apart by a header.

This router goes in before OpenAI's.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from llm_manager.gateway.ingress.anthropic.models import model_body, models_body, page_of
from llm_manager.gateway.ingress.asking import caller_of, json_response
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.parts import PARTS

# Every request of Anthropic's SDKs has it, and none of OpenAI's.
VERSION_HEADER = b"anthropic-version"


class VersionedRoute(LeanRoute):
    """A route that is there only for clients that name a version of Anthropic's API."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `starlette.routing.Route`."""
        if not any(name == VERSION_HEADER for name, _ in scope.get("headers", ())):
            return Match.NONE, {}
        return super().matches(scope)


# The document of these addresses is OpenAI's, which says that the header changes the shape.
router = APIRouter(prefix="/v1", route_class=VersionedRoute, include_in_schema=False)


@router.get("/models")
async def list_models(request: Request) -> Response:
    """List what OpenAI's route lists, page by page; `?refresh=true` asks the providers again."""
    caller, page = caller_of(request), page_of(request.query_params)
    is_refresh = request.query_params.get("refresh") == "true"
    models = await PARTS.of(request).models.list(caller, refresh=is_refresh)
    return json_response(models_body(models, page))


@router.get("/models/{model_id:path}")
async def retrieve_model(request: Request) -> Response:
    """Describe one model; its id may contain slashes."""
    caller = caller_of(request)
    return json_response(model_body(await PARTS.of(request).models.get(str(request.path_params["model_id"]), caller)))
