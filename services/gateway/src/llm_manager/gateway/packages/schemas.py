"""HTTP models of packages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from llm_manager.gateway.aliases.schemas import AliasBody
from llm_manager.gateway.apps.schemas import AppBody
from llm_manager.gateway.configurations.schemas import ConfigurationBody
from llm_manager.gateway.overrides.schemas import OverrideBody
from llm_manager.gateway.packages.rules import PackageOutcome, PackageState
from llm_manager.gateway.providers.schemas import PlainProviderBody
from llm_manager.gateway.resources.schemas import Body, Description

FORMAT = 1
# Of all resources together: an import is one transaction, and takes 2.5 to 4 ms for each (measured 2026-11-30).
MOST_ENTRIES = 1_000
PackageName = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[a-z0-9][a-z0-9._-]*$", examples=["team-models"])
]
Version = Annotated[
    str, Field(min_length=1, max_length=50, pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$", examples=["1.0.0"])
]


class Manifest(Body):
    """What a package is."""

    format: Literal[1] = Field(default=FORMAT, description="Of this document.")
    name: PackageName
    version: Version = "1"
    title: str = Field(default="", max_length=200)
    description: Description = ""
    source: list[Annotated[str, Field(max_length=500)]] = Field(
        default_factory=list, max_length=20, description="Where what it says was read, with the date."
    )


class PackageBody(Body):
    """A package: things of the control plane by their names, without ids and secrets. What a field does not say is its
    default.
    """

    manifest: Manifest
    providers: list[PlainProviderBody] = Field(default_factory=list, max_length=MOST_ENTRIES)
    apps: list[AppBody] = Field(default_factory=list, max_length=MOST_ENTRIES)
    configurations: list[ConfigurationBody] = Field(default_factory=list, max_length=MOST_ENTRIES)
    aliases: list[AliasBody] = Field(default_factory=list, max_length=MOST_ENTRIES)
    overrides: list[OverrideBody] = Field(default_factory=list, max_length=MOST_ENTRIES)


class PackageView(BaseModel):
    """A package that comes with the gateway, or was imported."""

    name: str
    title: str
    description: str
    state: PackageState = Field(
        description="available; installed; outdated: here in another version than the bundled one."
    )
    version: str | None = Field(description="Of the one that comes with the gateway; null where none does.")
    installed_version: str | None
    installed_at: datetime | None
    contents: dict[str, int] = Field(description="How many of each resource the bundled one holds.")


class PackageList(BaseModel):
    """All packages, by name."""

    data: list[PackageView]


class PackageEntryView(BaseModel):
    """What became of one thing."""

    resource: str = Field(examples=["configurations"])
    name: str
    outcome: PackageOutcome = Field(description="kept: it is there, is another, and the import was not forced.")
    differences: list[str] = Field(description="Fields in which what was there differs from the package.")


class ImportView(BaseModel):
    """What an import did, or would do."""

    name: str
    version: str
    is_dry_run: bool = Field(description="Nothing was written.")
    statistics: dict[str, dict[str, int]] = Field(description="Counts of outcomes, by resource.")
    entries: list[PackageEntryView]
    without_key: list[str] = Field(description="Providers of the package that need an API key and have none yet.")


# Any: JSON of a package, which its model has checked
class ExportedPackage(BaseModel):
    """A package as it is imported; fields that have their defaults are left out."""

    manifest: dict[str, Any]
    providers: list[dict[str, Any]]
    apps: list[dict[str, Any]]
    configurations: list[dict[str, Any]]
    aliases: list[dict[str, Any]]
    overrides: list[dict[str, Any]]
