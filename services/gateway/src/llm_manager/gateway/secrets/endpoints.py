"""Admin API: which master keys the platform's secrets are sealed under."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Request

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.secrets.schemas import MasterKeyList, MasterKeyView, RotatedView
from llm_manager.gateway.secrets.service import SECRETS, SecretRotation

router = admin_router("secrets", "Secrets")
Manager = Annotated[Subject, Depends(Requires(Permission.PROVIDERS_MANAGE))]


@router.get("")
async def list_master_keys(request: Request, _: Manager) -> MasterKeyList:
    """List the master keys, and how many secrets are sealed under each."""
    return MasterKeyList(data=await _views(SECRETS.of(request)))


@router.post("/rotate")
async def rotate_secrets(request: Request, subject: Manager) -> RotatedView:
    """Seal what is under an older master key under the active one, for at most ten seconds; nothing stops serving."""
    secrets = SECRETS.of(request)
    rotated = await secrets.rotate(subject)
    return RotatedView(
        resealed=rotated.resealed,
        is_done=rotated.is_done,
        unreadable=list(rotated.unreadable),
        data=await _views(secrets),
    )


async def _views(secrets: SecretRotation) -> list[MasterKeyView]:
    return [MasterKeyView(**asdict(use)) for use in await secrets.uses()]
