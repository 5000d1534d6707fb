"""Admin API of API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.keys.schemas import KeyBody, KeyChange, KeyView, NewKeyView, RotationBody
from llm_manager.gateway.keys.service import KEYS as RESOURCE
from llm_manager.gateway.keys.service import KeyService, NewKey
from llm_manager.gateway.resources.endpoints import Revision, listed, paged, shown, tag
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.schemas import ListOf

KEYS: Built[KeyService] = Built("keys")
router = admin_router("keys", "Keys")
Paged = Annotated[Page, Depends(paged(RESOURCE))]
Manager = Annotated[Subject, Depends(Requires(Permission.KEYS_MANAGE))]


@router.get("")
async def list_keys(request: Request, _: Manager, page: Paged) -> ListOf[KeyView]:
    """List keys page by page, revoked ones included, sorted by `name` or `created`."""
    return listed(await KEYS.of(request).page(page), KeyView)


@router.post("", status_code=201)
async def create_key(request: Request, response: Response, subject: Manager, body: KeyBody) -> NewKeyView:
    """Make a key; its secret is shown this once. Nobody can give a scope that is not their own."""
    return _shown_once(response, await KEYS.of(request).create(subject, body.model_dump()))


@router.get("/{key_id}")
async def get_key(request: Request, response: Response, _: Manager, key_id: str) -> KeyView:
    """Return a key by its id, without its secret."""
    return shown(response, await KEYS.of(request).find(key_id), KeyView)


@router.patch("/{key_id}")
async def change_key(
    request: Request, response: Response, subject: Manager, *, key_id: str, body: KeyChange, revision: Revision
) -> KeyView:
    """Change the fields that are sent; the key keeps its secret, and requests are held to the change at once."""
    said = body.model_dump(exclude_unset=True)
    return shown(response, await KEYS.of(request).change(subject, key_id, said, revision=revision), KeyView)


@router.post("/{key_id}/rotate", status_code=201)
async def rotate_key(
    request: Request, response: Response, subject: Manager, *, key_id: str, body: RotationBody | None = None
) -> NewKeyView:
    """Make a key like this one, which opens the door for `overlap_seconds` more; the new secret is shown this once."""
    overlap = (body or RotationBody()).overlap_seconds
    return _shown_once(response, await KEYS.of(request).rotate(subject, key_id, overlap_seconds=overlap))


@router.delete("/{key_id}", status_code=204)
async def revoke_key(request: Request, subject: Manager, key_id: str) -> Response:
    """Revoke a key; requests with it are refused at once."""
    await KEYS.of(request).revoke(subject, key_id)
    return Response(status_code=204)


def _shown_once(response: Response, new: NewKey) -> NewKeyView:
    tag(response, new.row.revision)
    # a proxy or a browser must not keep the only copy of a secret that is ours to forget
    response.headers["cache-control"] = "no-store"
    return NewKeyView(**KeyView.model_validate(new.row).model_dump(), api_key=new.token)
