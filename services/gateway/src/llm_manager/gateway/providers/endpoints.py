"""Admin API of providers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.providers.schemas import (
    ProviderBody,
    ProviderChange,
    ProviderKeyBody,
    ProviderKeyChange,
    ProviderView,
)
from llm_manager.gateway.providers.service import PROVIDERS as RESOURCE
from llm_manager.gateway.providers.service import ProviderService
from llm_manager.gateway.resources.endpoints import Revision, paged, tag
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.schemas import ListOf
from llm_manager.gateway.tables import Provider

PROVIDERS: Built[ProviderService] = Built("providers")
router = admin_router("providers", "Providers")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Paged = Annotated[Page, Depends(paged(RESOURCE))]
Manager = Annotated[Subject, Depends(Requires(Permission.PROVIDERS_MANAGE))]


@router.get("")
async def list_providers(request: Request, _: Viewer, page: Paged) -> ListOf[ProviderView]:
    """List providers page by page, each with where it comes from, without secrets; sorted by `name` or `created`."""
    rows, cursor = await PROVIDERS.of(request).page(page)
    return ListOf(data=await PROVIDERS.of(request).views(rows), next_cursor=cursor or None)


@router.post("", status_code=201)
async def create_provider(request: Request, response: Response, subject: Manager, body: ProviderBody) -> ProviderView:
    """Make a provider; `<name>/<model>` leads to each of its models at once."""
    row = await PROVIDERS.of(request).create(subject, body.said())
    return await _shown(request, response, row)


@router.get("/{provider}")
async def get_provider(request: Request, response: Response, _: Viewer, provider: str) -> ProviderView:
    """Return a provider by its id or its name."""
    return await _shown(request, response, await PROVIDERS.of(request).find(provider))


@router.patch("/{provider}")
async def change_provider(
    request: Request, response: Response, subject: Manager, *, provider: str, body: ProviderChange, revision: Revision
) -> ProviderView:
    """Change the fields that are sent; the next request obeys, within a second on every gateway."""
    row = await PROVIDERS.of(request).change(subject, provider, body.said(), revision=revision)
    return await _shown(request, response, row)


@router.delete("/{provider}", status_code=204)
async def delete_provider(request: Request, subject: Manager, *, provider: str, revision: Revision) -> Response:
    """Delete a provider that no configuration leads to, or forget one that no variable gives any more."""
    await PROVIDERS.of(request).delete(subject, provider, revision=revision)
    return Response(status_code=204)


@router.post("/{provider}/archive")
async def archive_provider(request: Request, response: Response, subject: Manager, provider: str) -> ProviderView:
    """Put a provider away: nobody is served by it or its configurations, and the ledger keeps what it cost."""
    row = await PROVIDERS.of(request).archive(subject, provider, is_archived=True)
    return await _shown(request, response, row)


@router.post("/{provider}/restore")
async def restore_provider(request: Request, response: Response, subject: Manager, provider: str) -> ProviderView:
    """Bring a provider back, and with it those of its configurations that were on."""
    row = await PROVIDERS.of(request).archive(subject, provider, is_archived=False)
    return await _shown(request, response, row)


@router.post("/{provider}/keys", status_code=201)
async def add_provider_key(
    request: Request, response: Response, subject: Manager, provider: str, *, body: ProviderKeyBody
) -> ProviderView:
    """Give a provider a further key; attempts use them in turn."""
    row = await PROVIDERS.of(request).add_key(subject, provider, name=body.name, key=body.api_key)
    return await _shown(request, response, row)


@router.patch("/{provider}/keys/{key}")
async def change_provider_key(
    request: Request, response: Response, subject: Manager, provider: str, *, key: str, body: ProviderKeyChange
) -> ProviderView:
    """Switch a key of a provider on or off."""
    row = await PROVIDERS.of(request).change_key(subject, provider, key, is_enabled=body.is_enabled)
    return await _shown(request, response, row)


@router.delete("/{provider}/keys/{key}")
async def remove_provider_key(
    request: Request, response: Response, subject: Manager, *, provider: str, key: str
) -> ProviderView:
    """Take a key of a provider away."""
    row = await PROVIDERS.of(request).change_key(subject, provider, key, is_enabled=None)
    return await _shown(request, response, row)


async def _shown(request: Request, response: Response, row: Provider) -> ProviderView:
    tag(response, row.revision)
    return (await PROVIDERS.of(request).views([row]))[0]
