"""Admin API: whether a provider answers, and what it offers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.providers.connections import ProviderConnections, Tested
from llm_manager.gateway.providers.endpoints import PROVIDERS
from llm_manager.gateway.providers.schemas import ConnectionView, OfferedModel, OfferedModels

CONNECTIONS: Built[ProviderConnections] = Built("connections")
router = admin_router("providers", "Providers")
Tester = Annotated[Subject, Depends(Requires(Permission.CONNECTIONS_TEST))]
Manager = Annotated[Subject, Depends(Requires(Permission.MODELS_MANAGE))]


@router.post("/{provider}/test")
async def probe_connection(
    request: Request,
    _: Tester,
    provider: str,
    *,
    key: Annotated[str, Query(max_length=200, description="Name of the key to test; the next one in turn.")] = "",
) -> ConnectionView:
    """Ask a provider for its models with its stored key, which costs nothing, and tell what came back."""
    row = await PROVIDERS.of(request).find(provider)
    return _view(await CONNECTIONS.of(request).test(row, key=key))


@router.get("/{provider}/models")
async def list_provider_models(
    request: Request,
    _: Manager,
    provider: str,
    *,
    refresh: Annotated[bool, Query(description="Ask anew, whatever is remembered.")] = False,
) -> OfferedModels:
    """List what a provider offers, by its own names; remembered for ten minutes."""
    row = await PROVIDERS.of(request).find(provider)
    found = await CONNECTIONS.of(request).models(row, refresh=refresh)
    return OfferedModels(
        data=[OfferedModel(id=model.id, owned_by=model.owned_by, created=model.created) for model in found]
    )


def _view(tested: Tested) -> ConnectionView:
    exchange = tested.exchange
    return ConnectionView(
        result=tested.result,
        message=tested.message,
        method=exchange.method if exchange else "GET",
        url=tested.url,
        status=exchange.status if exchange else None,
        headers_ms=exchange.headers_ms if exchange else None,
        total_ms=tested.total_ms,
        bytes=exchange.size if exchange else None,
        content_type=exchange.content_type if exchange else None,
        preview=exchange.preview if exchange else None,
        models=tested.models,
    )
