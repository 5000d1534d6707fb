"""Admin API of apps."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.apps.schemas import AppBody, AppChange, AppView
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.resources.endpoints import Paged, Revision, listed, shown
from llm_manager.gateway.resources.schemas import ListOf
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.tables import App

APPS: Built[ResourceService[App]] = Built("apps")
router = admin_router("apps", "Apps")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Manager = Annotated[Subject, Depends(Requires(Permission.KEYS_MANAGE))]


@router.get("")
async def list_apps(request: Request, _: Viewer, page: Paged) -> ListOf[AppView]:
    """List apps page by page, sorted by `name` or `created`."""
    return listed(await APPS.of(request).page(page), AppView)


@router.post("", status_code=201)
async def create_app(request: Request, response: Response, subject: Manager, body: AppBody) -> AppView:
    """Make an app; `POST /api/v1/keys` makes keys for it."""
    return shown(response, await APPS.of(request).create(subject, body.said()), AppView)


@router.get("/{app}")
async def get_app(request: Request, response: Response, _: Viewer, app: str) -> AppView:
    """Return an app by its id or its name."""
    return shown(response, await APPS.of(request).find(app), AppView)


@router.patch("/{app}")
async def change_app(
    request: Request, response: Response, subject: Manager, *, app: str, body: AppChange, revision: Revision
) -> AppView:
    """Change the fields that are sent; requests with the keys of an app that is switched off are refused at once."""
    return shown(response, await APPS.of(request).change(subject, app, body.said(), revision=revision), AppView)
