"""What an app is to the seam of resources."""

from __future__ import annotations

from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.resources.store import Declaration
from llm_manager.gateway.tables import App


def _told(row: App) -> Json:
    return {
        "name": row.name,
        "description": row.description,
        "is_enabled": row.is_enabled,
        "allowed_models": row.allowed_models,
    }


APPS = Declaration(
    name="apps",
    singular="app",
    table=App,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    cleared={"description": "", "allowed_models": None},
)
