"""Admin API of providers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.providers.schemas import ProviderList, ProviderView
from llm_manager.gateway.providers.service import ProviderInfo, ProviderService
from llm_manager.gateway.users.endpoints import ADMIN_RESPONSES, Requires

PROVIDERS: Built[ProviderService] = Built("providers")
router = APIRouter(prefix="/api/v1/providers", tags=["Providers"], responses=ADMIN_RESPONSES)
Manager = Annotated[Subject, Depends(Requires(Permission.PROVIDERS_MANAGE))]


@router.get("", dependencies=[Depends(Requires(Permission.BASE_VIEW))])
async def list_providers(request: Request) -> ProviderList:
    """List the providers, each with where it comes from, without credentials."""
    return ProviderList(data=[_view(info) for info in await PROVIDERS.of(request).list()])


@router.delete("/{name}", status_code=204)
async def remove_provider(request: Request, subject: Manager, name: str) -> Response:
    """Forget a provider that no variable gives any more, its credential included."""
    await PROVIDERS.of(request).remove(subject, name)
    return Response(status_code=204)


def _view(info: ProviderInfo) -> ProviderView:
    return ProviderView(
        name=info.name,
        kind=info.kind,
        base_url=info.base_url,
        origin=info.origin,
        variables=list(info.variables),
        kept_variables=list(info.kept_variables),
        models=info.models,
    )
