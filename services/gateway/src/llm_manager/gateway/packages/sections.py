"""What a package may hold: each resource with how a row of it is found, shown and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import ColumnElement, or_, select

from llm_manager.gateway.access.rules import Permission
from llm_manager.gateway.aliases.service import ALIASES
from llm_manager.gateway.apps.service import APPS
from llm_manager.gateway.configurations.service import CONFIGURATIONS
from llm_manager.gateway.overrides.service import OVERRIDES
from llm_manager.gateway.packages.schemas import PackageBody
from llm_manager.gateway.providers.service import PROVIDERS
from llm_manager.gateway.resources.schemas import Body
from llm_manager.gateway.resources.store import Declaration
from llm_manager.gateway.tables import Alias, App, Configuration, Override, Provider

# Any: fields of any resource
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One resource of a package.

    Args:
        needs: what whoever imports it has to hold.
        is_exported: which rows are given out: what is archived stays here, and what leads to it.
        is_of_app: each app may have one of the same name.
    """

    declaration: Declaration[Any]
    needs: Permission
    is_it: Callable[[Values], tuple[ColumnElement[bool], ...]]
    is_exported: tuple[ColumnElement[bool], ...] = ()
    is_of_app: bool = False

    @property
    def name(self) -> str:
        """As in the address of the admin API, and in a package."""
        return self.declaration.name

    @property
    def body(self) -> type[Body]:
        """What an entry looks like."""
        body: type[Body] = get_args(PackageBody.model_fields[self.name].annotation)[0]
        return body

    def values(self, entry: Body) -> dict[str, Any]:
        """Return all that an entry says, its defaults included."""
        said = {name: getattr(entry, name) for name in type(entry).model_fields}
        return {name: value for name, value in said.items() if value is not None or name in self.declaration.cleared}

    def shown(self, row: Any) -> dict[str, Any]:
        """Return a row as an entry says it, all of its fields included."""
        told = self.declaration.told(row)
        return {name: told[name] for name in self.body.model_fields}


def _named(declaration: Declaration[Any]) -> Callable[[Values], tuple[ColumnElement[bool], ...]]:
    return lambda values: (declaration.column("name") == values["name"],)


def _is_override(values: Values) -> tuple[ColumnElement[bool], ...]:
    return Override.name == values["name"], Override.app_id.in_(select(App.id).where(App.name == values["app"]))


_LIVE = Provider.archived_at.is_(None)
_OF_LIVE = Configuration.provider_id.in_(select(Provider.id).where(_LIVE))
_SERVING = select(Configuration.id).where(_OF_LIVE)
_OF_ANY = or_(Override.configuration_id.is_(None), Override.configuration_id.in_(_SERVING))
# Those that others name come first.
SECTIONS: tuple[Section, ...] = (
    Section(PROVIDERS, Permission.PROVIDERS_MANAGE, _named(PROVIDERS), (_LIVE,)),
    Section(APPS, Permission.KEYS_MANAGE, _named(APPS)),
    Section(CONFIGURATIONS, Permission.MODELS_MANAGE, _named(CONFIGURATIONS), (_OF_LIVE,)),
    Section(ALIASES, Permission.MODELS_MANAGE, _named(ALIASES), (Alias.configuration_id.in_(_SERVING),)),
    Section(OVERRIDES, Permission.MODELS_MANAGE, _is_override, (_OF_ANY,), is_of_app=True),
)
