"""Admin API of packages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.packages.rules import statistics
from llm_manager.gateway.packages.schemas import (
    ExportedPackage,
    ImportView,
    Manifest,
    PackageBody,
    PackageEntryView,
    PackageList,
    PackageName,
    PackageView,
    Version,
)
from llm_manager.gateway.packages.sections import SECTIONS
from llm_manager.gateway.packages.service import PACKAGES, Imported, KnownPackage

router = admin_router("packages", "Packages")
Viewer = Annotated[Subject, Depends(Requires(Permission.BASE_VIEW))]
Manager = Annotated[Subject, Depends(Requires(Permission.MODELS_MANAGE))]
DryRun = Annotated[bool, Query(description="Try everything and write nothing.")]
Force = Annotated[bool, Query(description="Make what is there and is another as the package says; else it is kept.")]
Resource = Literal["providers", "apps", "configurations", "aliases", "overrides"]


@router.get("")
async def list_packages(request: Request, _: Viewer) -> PackageList:
    """List the packages that come with the gateway, and those that were imported."""
    return PackageList(data=[_view(package) for package in await PACKAGES.of(request).known()])


@router.get("/export")
async def export_package(
    request: Request,
    _: Manager,
    *,
    name: Annotated[PackageName, Query()] = "export",
    version: Annotated[Version, Query()] = "1",
    title: Annotated[str, Query(max_length=200)] = "",
    resources: Annotated[list[Resource] | None, Query(description="What it shall hold; without, everything.")] = None,
) -> ExportedPackage:
    """Give out what is here as one package, without secrets, keys and users; what is archived is left out."""
    manifest = Manifest(name=name, version=version, title=title)
    return ExportedPackage(**await PACKAGES.of(request).give_out(manifest, resources or ()))


@router.get("/{package}")
async def get_package(request: Request, _: Viewer, package: str) -> ExportedPackage:
    """Show a package that comes with the gateway."""
    found: dict[str, Any] = PACKAGES.of(request).bundled(package).model_dump(mode="json", exclude_unset=True)
    return ExportedPackage(manifest=found["manifest"], **{one.name: found.get(one.name, []) for one in SECTIONS})


@router.post("")
async def import_package(
    request: Request, subject: Manager, *, body: PackageBody, dry_run: DryRun = False, force: Force = False
) -> ImportView:
    """Make everything that a package holds, or nothing: an entry that is wrong changes nothing."""
    return _imported(await PACKAGES.of(request).take_in(subject, body, is_dry_run=dry_run, is_forced=force))


@router.post("/{package}/install")
async def install_package(
    request: Request, subject: Manager, *, package: str, dry_run: DryRun = False, force: Force = False
) -> ImportView:
    """Import a package that comes with the gateway."""
    packages = PACKAGES.of(request)
    bundled = packages.bundled(package)
    return _imported(await packages.take_in(subject, bundled, is_dry_run=dry_run, is_forced=force))


def _view(package: KnownPackage) -> PackageView:
    bundled, installed = package.bundled, package.installed
    manifest = None if bundled is None else bundled.manifest
    return PackageView(
        name=manifest.name if manifest is not None else installed.name if installed is not None else "",
        title=manifest.title if manifest is not None else installed.title if installed is not None else "",
        description=manifest.description if manifest is not None else "",
        state=package.state,
        version=None if manifest is None else manifest.version,
        installed_version=None if installed is None else installed.version,
        installed_at=None if installed is None else installed.installed_at,
        contents={} if bundled is None else {one.name: len(getattr(bundled, one.name)) for one in SECTIONS},
    )


def _imported(imported: Imported) -> ImportView:
    return ImportView(
        name=imported.manifest.name,
        version=imported.manifest.version,
        is_dry_run=imported.is_dry_run,
        statistics=statistics(imported.entries),
        entries=[PackageEntryView.model_validate(asdict(entry)) for entry in imported.entries],
        without_key=list(imported.without_key),
    )
