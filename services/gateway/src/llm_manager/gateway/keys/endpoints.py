"""Admin API of API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.keys.schemas import KeyBody, KeyList, KeyView, NewKeyView
from llm_manager.gateway.keys.service import KeyInfo, KeyService
from llm_manager.gateway.users.endpoints import ADMIN_RESPONSES, Requires

KEYS: Built[KeyService] = Built("keys")
router = APIRouter(prefix="/api/v1/keys", tags=["Keys"], responses=ADMIN_RESPONSES)
Manager = Annotated[Subject, Depends(Requires(Permission.KEYS_MANAGE))]


@router.get("")
async def list_keys(request: Request, _: Manager) -> KeyList:
    """List every key, revoked ones included."""
    return KeyList(data=[_view(info) for info in await KEYS.of(request).list()])


@router.post("", status_code=201)
async def create_key(request: Request, subject: Manager, body: KeyBody) -> NewKeyView:
    """Make a key; its secret is shown this once."""
    new = await KEYS.of(request).create(subject, name=body.name, app=body.app)
    return NewKeyView(**_view(new.info).model_dump(), api_key=new.token)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(request: Request, subject: Manager, key_id: str) -> Response:
    """Revoke a key; requests with it are refused at once."""
    await KEYS.of(request).revoke(subject, key_id)
    return Response(status_code=204)


def _view(info: KeyInfo) -> KeyView:
    return KeyView(id=info.id, name=info.name, app=info.app, created_at=info.created_at, revoked_at=info.revoked_at)
