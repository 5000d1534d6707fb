"""Making and changing configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.configurations.rules import slug
from llm_manager.gateway.ingress.openai.parameters import check_parameters
from llm_manager.gateway.resources.filters import Filter, naming
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.resources.store import Declaration, referred
from llm_manager.gateway.tables import App, Configuration, Provider

_PLAIN = (
    *("name", "title", "description", "upstream_model", "is_enabled", "is_default", "default_parameters"),
    *("adapts_parameters", "capabilities", "context_window", "max_output_tokens", "requests_per_minute"),
    *("tokens_per_minute", "use_cases", "tags"),
)


def _told(row: Configuration) -> Json:
    said = {name: getattr(row, name) for name in _PLAIN}
    return {**said, "provider": row.provider.name, "app": row.app.name if row.app is not None else None}


CONFIGURATIONS = Declaration(
    name="configurations",
    singular="configuration",
    table=Configuration,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    filters={
        "provider": Filter(
            "Id or name of the provider that they lead to.", naming(Configuration.provider_id, Provider)
        ),
        "app": Filter("Id or name of the one app that may use them.", naming(Configuration.app_id, App)),
    },
    cleared={
        "title": "",
        "description": "",
        "app": None,
        "default_parameters": {},
        "use_cases": [],
        "tags": {},
        "capabilities": None,
        "context_window": None,
        "max_output_tokens": None,
        "requests_per_minute": None,
        "tokens_per_minute": None,
    },
)


class ConfigurationService(ResourceService[Configuration]):
    """Configurations of all apps."""

    async def fill(self, session: AsyncSession, row: Configuration, values: Mapping[str, Any]) -> list[Configuration]:
        """Give a row its values; the default of before is one no more."""
        had_model = bool(row.upstream_model)
        for field, value in values.items():
            match field:
                case "provider":
                    row.provider = await referred(session, Provider, value, param="provider")
                case "app":
                    owner = None if value is None else await referred(session, App, value, param="app")
                    row.app, row.app_id = owner, owner and owner.id
                case "default_parameters":
                    check_parameters(value, param=field)
                    row.default_parameters = value
                case _:
                    setattr(row, field, value)
        row.name = row.name or slug(row.title or "")
        if not row.name:
            raise InvalidRequest("name: give a name, or a title with letters or digits in it.", param="name")
        _switch(row, said=values.get("is_enabled"), had_model=had_model)
        return await self._sole_default(session, row) if row.is_default else []

    async def _sole_default(self, session: AsyncSession, row: Configuration) -> list[Configuration]:
        is_owner = Configuration.app_id.is_(None) if row.app_id is None else Configuration.app_id == row.app_id
        query = select(Configuration).where(Configuration.is_default, is_owner, Configuration.id != (row.id or ""))
        with session.no_autoflush:
            before = list(await session.scalars(query.with_for_update(of=Configuration)))
            for other in before:
                self._store.note(session, other)
                # at once, for two defaults are refused even for a moment
                unset = update(Configuration).where(Configuration.id == other.id)
                await session.execute(
                    unset.values(is_default=False, revision=Configuration.revision + 1),
                    execution_options={"synchronize_session": False},
                )
                await session.refresh(other)
        return before


def _switch(row: Configuration, *, said: bool | None, had_model: bool) -> None:
    """Switch a row on or off: without a model it cannot be on, and its first model switches it on.

    Raises:
        InvalidRequest: somebody asked for just that.
    """
    if row.upstream_model:
        if said is None and not had_model:
            row.is_enabled = True
        return
    if said:
        raise InvalidRequest(
            "is_enabled: a configuration without upstream_model cannot be on; set both.", param="is_enabled"
        )
    row.is_enabled = False
