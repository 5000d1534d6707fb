"""Admin API of apps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.apps.schemas import AppBody, AppChange, AppView
from llm_manager.gateway.apps.service import AppService
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.resources.endpoints import Paged, Revision, tag
from llm_manager.gateway.resources.schemas import ListOf
from llm_manager.gateway.tables import App
from llm_manager.gateway.users.endpoints import ADMIN_RESPONSES, Requires

APPS: Built[AppService] = Built("apps")
router = APIRouter(prefix="/api/v1/apps", tags=["Apps"], responses=ADMIN_RESPONSES)
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Manager = Annotated[Subject, Depends(Requires(Permission.KEYS_MANAGE))]


@router.get("")
async def list_apps(request: Request, _: Viewer, page: Paged) -> ListOf[AppView]:
    """List apps page by page, sorted by `name` or `created`."""
    rows, cursor = await APPS.of(request).page(page)
    return ListOf(data=[_view(row) for row in rows], next_cursor=cursor or None)


@router.post("", status_code=201)
async def create_app(request: Request, response: Response, subject: Manager, body: AppBody) -> AppView:
    """Make an app; `POST /api/v1/keys` makes keys for it."""
    row = await APPS.of(request).create(
        subject, name=body.name, description=body.description, is_enabled=body.is_enabled
    )
    tag(response, row.revision)
    return _view(row)


@router.get("/{app}")
async def get_app(request: Request, response: Response, _: Viewer, app: str) -> AppView:
    """Return an app by its id or its name."""
    row = await APPS.of(request).find(app)
    tag(response, row.revision)
    return _view(row)


@router.patch("/{app}")
async def change_app(
    request: Request, response: Response, subject: Manager, *, app: str, body: AppChange, revision: Revision
) -> AppView:
    """Change the fields that are sent; requests with the keys of an app that is switched off are refused at once."""
    said = body.model_dump(exclude_unset=True)
    row = await APPS.of(request).change(subject, app, said, revision=revision)
    tag(response, row.revision)
    return _view(row)


def _view(row: App) -> AppView:
    return AppView(
        id=row.id,
        name=row.name,
        description=row.description,
        is_enabled=row.is_enabled,
        managed_by=row.managed_by,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
