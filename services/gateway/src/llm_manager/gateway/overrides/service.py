"""Making and changing parameter overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.ingress.openai.parameters import check_parameters
from llm_manager.gateway.parameters.rules import Strategy
from llm_manager.gateway.resources.filters import Filter, naming
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.resources.store import Declaration, referred
from llm_manager.gateway.tables import App, Configuration, Override

_PLAIN = ("name", "context", "parameters", "strategy", "priority", "description", "is_enabled")


def _told(row: Override) -> Json:
    configuration = None if row.configuration is None else row.configuration.name
    return {**{name: getattr(row, name) for name in _PLAIN}, "app": row.app.name, "configuration": configuration}


OVERRIDES = Declaration(
    name="overrides",
    singular="override",
    table=Override,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    filters={
        "app": Filter("Id or name of the app whose overrides are wanted.", naming(Override.app_id, App)),
        "configuration": Filter(
            "Id or name of the one that they are for; without those for all.",
            naming(Override.configuration_id, Configuration),
        ),
    },
    cleared={"description": "", "context": "", "configuration": None},
    # two apps may each have one of the same name
    is_found_by_key=False,
)


class OverrideService(ResourceService[Override]):
    """Overrides of all apps."""

    async def fill(self, session: AsyncSession, row: Override, values: Mapping[str, Any]) -> list[Override]:
        """Give a row its values."""
        for field, value in values.items():
            match field:
                case "app":
                    row.app = await referred(session, App, value, param="app")
                    row.app_id = row.app.id
                case "configuration":
                    found = None if value is None else await referred(session, Configuration, value, param=field)
                    row.configuration, row.configuration_id = found, found and found.id
                case "parameters":
                    check_parameters(value, param=field)
                    row.parameters = value
                case "strategy":
                    row.strategy = Strategy(value).value
                case _:
                    setattr(row, field, value)
        row.strategy = row.strategy or Strategy.MERGE.value
        return []
