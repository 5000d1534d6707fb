"""Takes packages in, as a whole or not at all, and gives out what is here as one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import Conflict, InvalidRequest, NotFound, RequestError
from llm_manager.core.facts import Facts
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.packages.rules import (
    Entry,
    PackageOutcome,
    PackageState,
    differences_of,
    outcome_of,
    state_of,
    statistics,
)
from llm_manager.gateway.packages.schemas import MOST_ENTRIES, Manifest, PackageBody
from llm_manager.gateway.packages.sections import SECTIONS, Section
from llm_manager.gateway.packages.store import PackageStore, held, remember
from llm_manager.gateway.resources.schemas import Body
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.tables import Package, Provider
from llm_manager.kit.sql import Database

RESOURCE = "packages"
_BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class KnownPackage:
    """A package that comes with the gateway, was imported, or both."""

    bundled: PackageBody | None
    installed: Package | None

    @property
    def state(self) -> PackageState:
        """Whether it is here."""
        offered = None if self.bundled is None else self.bundled.manifest.version
        return state_of(None if self.installed is None else self.installed.version, offered)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do.

    Args:
        without_key: providers of the package that need an API key and have none.
    """

    manifest: Manifest
    is_dry_run: bool
    entries: Sequence[Entry]
    without_key: Sequence[str]


class PackageService:
    """Every method raises StoreUnavailable when the database does not answer.

    Args:
        services: of each resource, by its name.
    """

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        *,
        trail: AuditStore,
        services: Mapping[str, ResourceService[Any]],
        facts: Mapping[str, Facts],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._store = PackageStore(database)
        self._trail = trail
        self._services = services
        self._facts = facts
        self._bundled = bundled_packages()

    async def known(self) -> list[KnownPackage]:
        """Return all packages by name."""
        installed = {row.name: row for row in await self._store.installed()}
        names = sorted(installed.keys() | self._bundled.keys())
        return [KnownPackage(self._bundled.get(name), installed.get(name)) for name in names]

    def bundled(self, name: str) -> PackageBody:
        """Return a package that comes with the gateway. Raises NotFound."""
        if (found := self._bundled.get(name)) is None:
            raise NotFound(
                f"No package named {name[:100]!r} comes with the gateway; GET /api/v1/packages lists those that do."
            )
        return found

    async def take_in(
        self, subject: Subject, package: PackageBody, *, is_dry_run: bool = False, is_forced: bool = False
    ) -> Imported:
        """Make what a package holds, in one transaction.

        Args:
            is_dry_run: everything is tried, and nothing stays.
            is_forced: what is there and is another becomes as the package says; else it is kept.

        Raises:
            InvalidRequest, NotFound, Conflict: an entry is wrong, names what is not there, or is said twice; `param`
                says which, and nothing was changed.
            PermissionRefused: the subject may not make one of the things in it.
        """
        if (count := sum(len(_entries(package, section)) for section in SECTIONS)) > MOST_ENTRIES:
            raise InvalidRequest(f"A package holds at most {MOST_ENTRIES} things, this one {count}: make two of it.")
        for section in SECTIONS:
            if entries := _entries(package, section):
                subject.require(section.needs)
                _refuse_twice(section, entries)
        # its Idempotency-Key stands for the whole, not for each of the things in it
        somebody = replace(subject, repeatable=None)
        done: list[Entry] = []
        async with self._database.session() as session:
            for section in SECTIONS:
                for i, entry in enumerate(_entries(package, section)):
                    done.append(await self._put(session, somebody, (section, i, entry), is_forced=is_forced))
            without_key = await self._without_key(session, package)
            was_there = await remember(session, package.manifest)
            said = {"version": package.manifest.version, "statistics": statistics(done)}
            action = "changed" if was_there else "created"
            await self._trail.add(
                session, somebody, action, resource=RESOURCE, resource_id=package.manifest.name, after=said
            )
            if is_dry_run:
                await session.rollback()
        if not is_dry_run:
            await self._catalogue.refresh()
        return Imported(package.manifest, is_dry_run, done, without_key)

    async def give_out(self, manifest: Manifest, resources: Collection[str]) -> dict[str, Any]:
        """Return what is here as a package that is imported elsewhere; it holds no secrets.

        Args:
            resources: those that it shall hold; none of them for all.

        Raises:
            InvalidRequest: there is more than a package may hold.
        """
        left = MOST_ENTRIES
        found: dict[str, Any] = {"manifest": manifest.model_dump(exclude_defaults=True) | {"format": manifest.format}}
        for section in SECTIONS:
            found[section.name] = []
            if resources and section.name not in resources:
                continue
            rows = await self._store.exported(section, limit=left)
            if (left := left - len(rows)) < 0:
                raise InvalidRequest(
                    f"There are more than {MOST_ENTRIES} things, which is what a package may hold; give some resources "
                    "out apart.",
                    param="resources",
                )
            entries = [_without_defaults(section, section.shown(row)) for row in rows]
            found[section.name] = sorted(entries, key=lambda entry: (entry["name"], entry.get("app") or ""))
        return found

    async def _put(
        self, session: AsyncSession, subject: Subject, item: tuple[Section, int, Body], *, is_forced: bool
    ) -> Entry:
        section, i, entry = item
        values = section.values(entry)
        row = await held(session, section, values)
        differences = None if row is None else differences_of(section.shown(row), values)
        outcome = outcome_of(differences, is_forced=is_forced)
        if outcome in (PackageOutcome.CREATED, PackageOutcome.CHANGED):
            try:
                await self._services[section.name].put(session, subject, "" if row is None else row.id, values)
            except RequestError as error:
                where = f"{section.name}.{i}" + (f".{error.param}" if error.param else "")
                kind = next((one for one in (NotFound, Conflict) if isinstance(error, one)), InvalidRequest)
                raise kind(f"{where} ({values['name']!r}): {error.message}", param=where) from error
        return Entry(section.name, values["name"], outcome, differences or ())

    async def _without_key(self, session: AsyncSession, package: PackageBody) -> list[str]:
        (section,) = (one for one in SECTIONS if one.declaration.table is Provider)
        rows = [await held(session, section, {"name": entry.name}) for entry in package.providers]
        return [row.name for row in rows if self._needs_key(row)]

    def _needs_key(self, row: Provider) -> bool:
        facts = self._facts.get(row.kind)
        return facts is not None and facts.needs_credential and not row.credentials


def bundled_packages() -> dict[str, PackageBody]:
    """Return the packages that come with the gateway, by name."""
    files = sorted(_BUNDLED.glob("*.json"))
    packages = [PackageBody.model_validate_json(file.read_bytes()) for file in files]
    return {package.manifest.name: package for package in packages}


def _entries(package: PackageBody, section: Section) -> Sequence[Body]:
    entries: Sequence[Body] = getattr(package, section.name)
    return entries


def _refuse_twice(section: Section, entries: Sequence[Body]) -> None:
    seen: set[tuple[str, str]] = set()
    for i, entry in enumerate(entries):
        # of overrides each app may have one of a name
        values = section.values(entry)
        name = values.get("name")
        if not name:
            raise InvalidRequest(f"{section.name}.{i}.name: give a name.", param=f"{section.name}.{i}.name")
        handle = name, values["app"] if section.is_of_app else ""
        if handle in seen:
            raise InvalidRequest(f"{section.name}.{i}: {name!r} is said twice.", param=f"{section.name}.{i}")
        seen.add(handle)


def _without_defaults(section: Section, shown: Mapping[str, Any]) -> dict[str, Any]:
    fields = section.body.model_fields
    return {
        name: value
        for name, value in shown.items()
        if fields[name].is_required() or value != fields[name].get_default(call_default_factory=True)
    }


PACKAGES: Built[PackageService] = Built("packages")
