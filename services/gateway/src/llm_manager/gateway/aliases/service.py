"""Making and changing aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.resources.filters import Filter, naming
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.resources.store import Declaration, referred
from llm_manager.gateway.tables import Alias, Configuration


def _told(row: Alias) -> Json:
    return {
        "name": row.name,
        "configuration": row.configuration.name,
        "description": row.description,
        "is_enabled": row.is_enabled,
    }


ALIASES = Declaration(
    name="aliases",
    singular="alias",
    table=Alias,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    filters={
        "configuration": Filter("Id or name of what they are names of.", naming(Alias.configuration_id, Configuration)),
    },
    cleared={"description": ""},
)


class AliasService(ResourceService[Alias]):
    """Aliases of configurations."""

    async def fill(self, session: AsyncSession, row: Alias, values: Mapping[str, Any]) -> list[Alias]:
        """Give a row its values."""
        said = dict(values)
        if "configuration" in said:
            row.configuration = await referred(session, Configuration, said.pop("configuration"), param="configuration")
        return await super().fill(session, row, said)
