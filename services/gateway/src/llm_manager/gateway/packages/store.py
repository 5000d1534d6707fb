"""Reads what packages are made of, and remembers which were imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.packages.schemas import Manifest
from llm_manager.gateway.packages.sections import Section, Values
from llm_manager.gateway.tables import Package
from llm_manager.kit.sql import Database


class PackageStore:
    """Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def installed(self) -> list[Package]:
        """Return the packages that were imported."""
        async with self._database.session(read_only=True) as session:
            return list(await session.scalars(select(Package)))

    async def exported(self, section: Section, *, limit: int) -> Sequence[Any]:
        """Return the rows of a section that are given out; one more than `limit` where there are more."""
        query = select(section.declaration.table).where(*section.is_exported).order_by(section.declaration.column("id"))
        async with self._database.session(read_only=True) as session:
            return (await session.scalars(query.limit(limit + 1))).all()


# Any: a row of any resource
async def held(session: AsyncSession, section: Section, values: Values) -> Any:
    """Return the row that an entry is about; None where there is none yet."""
    return await session.scalar(select(section.declaration.table).where(*section.is_it(values)))


async def remember(session: AsyncSession, manifest: Manifest) -> bool:
    """Remember that a package was imported; return whether it was before."""
    row = await session.get(Package, manifest.name)
    if row is None:
        session.add(Package(name=manifest.name, title=manifest.title, version=manifest.version))
        return False
    row.title, row.version = manifest.title, manifest.version
    return True
