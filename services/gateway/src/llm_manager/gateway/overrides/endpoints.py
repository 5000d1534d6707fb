"""Admin API of parameter overrides."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.overrides.schemas import OverrideBody, OverrideChange, OverrideView
from llm_manager.gateway.overrides.service import OVERRIDES as RESOURCE
from llm_manager.gateway.overrides.service import OverrideService
from llm_manager.gateway.resources.endpoints import Revision, listed, paged, shown
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.schemas import ListOf

OVERRIDES: Built[OverrideService] = Built("overrides")
router = admin_router("overrides", "Overrides")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Paged = Annotated[Page, Depends(paged(RESOURCE))]
Manager = Annotated[Subject, Depends(Requires(Permission.MODELS_MANAGE))]


@router.get("")
async def list_overrides(request: Request, _: Viewer, page: Paged) -> ListOf[OverrideView]:
    """List overrides page by page, sorted by `name` or `created`."""
    return listed(await OVERRIDES.of(request).page(page), OverrideView)


@router.post("", status_code=201)
async def create_override(request: Request, response: Response, subject: Manager, body: OverrideBody) -> OverrideView:
    """Make an override; the next call of the app gets its parameters, unless it says them itself."""
    return shown(response, await OVERRIDES.of(request).create(subject, body.said()), OverrideView)


@router.get("/{override}")
async def get_override(request: Request, response: Response, _: Viewer, override: str) -> OverrideView:
    """Return an override by its id."""
    return shown(response, await OVERRIDES.of(request).find(override), OverrideView)


@router.patch("/{override}")
async def change_override(
    request: Request, response: Response, subject: Manager, *, override: str, body: OverrideChange, revision: Revision
) -> OverrideView:
    """Change the fields that are sent; the next call obeys, within a second on every gateway."""
    row = await OVERRIDES.of(request).change(subject, override, body.said(), revision=revision)
    return shown(response, row, OverrideView)


@router.delete("/{override}", status_code=204)
async def delete_override(request: Request, subject: Manager, *, override: str, revision: Revision) -> Response:
    """Delete an override."""
    await OVERRIDES.of(request).delete(subject, override, revision=revision)
    return Response(status_code=204)
