"""Admin API of aliases."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.aliases.schemas import AliasBody, AliasChange, AliasView
from llm_manager.gateway.aliases.service import ALIASES as RESOURCE
from llm_manager.gateway.aliases.service import AliasService
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.resources.endpoints import Revision, listed, paged, shown
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.schemas import ListOf

ALIASES: Built[AliasService] = Built("aliases")
router = admin_router("aliases", "Aliases")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Paged = Annotated[Page, Depends(paged(RESOURCE))]
Manager = Annotated[Subject, Depends(Requires(Permission.MODELS_MANAGE))]


@router.get("")
async def list_aliases(request: Request, _: Viewer, page: Paged) -> ListOf[AliasView]:
    """List aliases page by page, sorted by `name` or `created`."""
    return listed(await ALIASES.of(request).page(page), AliasView)


@router.post("", status_code=201)
async def create_alias(request: Request, response: Response, subject: Manager, body: AliasBody) -> AliasView:
    """Make an alias; the next request may name it in `model`."""
    return shown(response, await ALIASES.of(request).create(subject, body.said()), AliasView)


# Names hold slashes, as models of Hugging Face do.
@router.get("/{alias:path}")
async def get_alias(request: Request, response: Response, _: Viewer, alias: str) -> AliasView:
    """Return an alias by its id or its name."""
    return shown(response, await ALIASES.of(request).find(alias), AliasView)


@router.patch("/{alias:path}")
async def change_alias(
    request: Request,
    response: Response,
    subject: Manager,
    *,
    alias: str,
    body: AliasChange,
    revision: Revision,
) -> AliasView:
    """Change the fields that are sent; the next request obeys, within a second on every gateway."""
    row = await ALIASES.of(request).change(subject, alias, body.said(), revision=revision)
    return shown(response, row, AliasView)


@router.delete("/{alias:path}", status_code=204)
async def delete_alias(request: Request, subject: Manager, *, alias: str, revision: Revision) -> Response:
    """Delete an alias; the ledger keeps its name."""
    await ALIASES.of(request).delete(subject, alias, revision=revision)
    return Response(status_code=204)
