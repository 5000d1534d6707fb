"""Whether this gateway answers, for load balancers that reach only the API's port."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["Health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Say that the process answers; readiness stands on the ops port."""
    return {"status": "alive"}
