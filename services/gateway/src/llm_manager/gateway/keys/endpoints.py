"""Admin API of API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.keys.schemas import KeyBody, KeyView, NewKeyView
from llm_manager.gateway.keys.service import KeyService
from llm_manager.gateway.resources.endpoints import Paged
from llm_manager.gateway.resources.schemas import ListOf
from llm_manager.gateway.tables import Key
from llm_manager.gateway.users.endpoints import ADMIN_RESPONSES, Requires

KEYS: Built[KeyService] = Built("keys")
router = APIRouter(prefix="/api/v1/keys", tags=["Keys"], responses=ADMIN_RESPONSES)
Manager = Annotated[Subject, Depends(Requires(Permission.KEYS_MANAGE))]


@router.get("")
async def list_keys(
    request: Request,
    _: Manager,
    page: Paged,
    *,
    app: Annotated[str, Query(max_length=200, description="Id or name of the app whose keys are wanted.")] = "",
) -> ListOf[KeyView]:
    """List keys page by page, revoked ones included, sorted by `name` or `created`."""
    rows, cursor = await KEYS.of(request).page(page, app=app)
    return ListOf(data=[_view(row) for row in rows], next_cursor=cursor or None)


@router.post("", status_code=201)
async def create_key(request: Request, subject: Manager, body: KeyBody) -> NewKeyView:
    """Make a key; its secret is shown this once."""
    new = await KEYS.of(request).create(subject, name=body.name, app=body.app)
    return NewKeyView(**_view(new.row).model_dump(), api_key=new.token)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(request: Request, subject: Manager, key_id: str) -> Response:
    """Revoke a key; requests with it are refused at once."""
    await KEYS.of(request).revoke(subject, key_id)
    return Response(status_code=204)


def _view(row: Key) -> KeyView:
    return KeyView(id=row.id, name=row.name, app=row.app.name, created_at=row.created_at, revoked_at=row.revoked_at)
