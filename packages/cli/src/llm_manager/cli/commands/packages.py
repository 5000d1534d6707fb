"""`llm-manager packages`: providers, models and what belongs to them, taken in and given out together."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from llm_manager.cli.data_dir import write_private
from llm_manager.cli.exit_codes import CommandError
from llm_manager.cli.options import DataDirOption, JsonOption, UrlOption, one_resource
from llm_manager.cli.output import print_json, print_table
from llm_manager.cli.values import wrong

from .admin_calls import Row, admin_at, show_list, transport_at

packages_app = typer.Typer(help="Take in and give out many things together.", no_args_is_help=True)
_COLUMNS = ("name", "state", "version", "installed", "holds", "title")
_STDIO = "-"
_Package = Annotated[str, typer.Argument(help="Name of a package that comes with the gateway.", callback=one_resource)]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Try everything and write nothing.")]
_Force = Annotated[
    bool, typer.Option("--force", help="Make what is there and is another as the package says; else it is kept.")
]


@packages_app.command("list")
def list_packages(*, as_json: JsonOption = False, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """List the packages that come with the gateway, and those that were imported."""
    rows = admin_at(url, data_dir).packages.list()["data"]
    cells = [
        (one["name"], one["state"], one["version"] or "", one["installed_version"] or "", _held(one), one["title"])
        for one in rows
    ]
    show_list(rows, _COLUMNS, cells, as_json=as_json)


@packages_app.command("show")
def show_package(package: _Package, *, url: UrlOption = None, data_dir: DataDirOption = None) -> None:
    """Print a package that comes with the gateway; it can be changed and imported."""
    print_json(admin_at(url, data_dir).packages.get(package))


@packages_app.command("install")
def install(
    package: _Package,
    *,
    dry_run: _DryRun = False,
    force: _Force = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Import a package that comes with the gateway."""
    done = admin_at(url, data_dir).packages.install(package, dry_run=dry_run or None, force=force or None)
    _report(done, as_json=as_json)


@packages_app.command("import")
def import_package(
    file: Annotated[Path, typer.Argument(help="A package as `packages export` writes it; - for standard input.")],
    *,
    dry_run: _DryRun = False,
    force: _Force = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make everything that a package holds, or nothing: an entry that is wrong changes nothing."""
    package = _read(file)
    # not by `packages.create`, whose arguments are the fields that there are: the gateway names one that is none
    query = {name: "true" for name, is_said in (("dry_run", dry_run), ("force", force)) if is_said}
    answer = transport_at(url, data_dir).request("POST", "/api/v1/packages", query=query, body=package)
    _report(answer.body, as_json=as_json)


@packages_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the package; - for standard output.")],
    *,
    name: Annotated[str, typer.Option("--name", help="Of the package.")] = "export",
    version: Annotated[str, typer.Option("--version", help="Of the package.")] = "1",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="RESOURCE", help="providers, apps, configurations, aliases or overrides. Repeatable."
        ),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Give out what is here as one package, without secrets, keys and users."""
    # Any: the names of resources, which the gateway judges
    resources: Any = only or None
    package = admin_at(url, data_dir).packages.export(name=name, version=version, resources=resources)
    text = json.dumps(package, indent=2, ensure_ascii=False) + "\n"
    if str(file) == _STDIO:
        print(text, end="")
        return
    try:
        write_private(file, text)
    except OSError as error:
        raise CommandError(f"Cannot write {file}: {error.strerror}.") from error
    print(f"Wrote {_counted(package) or 'nothing'} to {file}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == _STDIO else file.read_text(encoding="utf-8")
        package: Any = json.loads(text)
    except OSError as error:
        raise wrong(f"Cannot read {file}: {error.strerror}.") from error
    except ValueError as error:
        raise wrong(f"{file} is no JSON: {error}.") from error
    if isinstance(package, list) or not hasattr(package, "items"):
        raise wrong(f"{file} is no package: it holds no JSON object.")
    return package


def _counted(package: Row) -> str:
    return ", ".join(f"{len(entries)} {what}" for what, entries in package.items() if what != "manifest" and entries)


def _held(row: Row) -> str:
    return ", ".join(f"{count} {what}" for what, count in row["contents"].items() if count)


def _report(done: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    rows = [(one["outcome"], one["resource"], one["name"], ", ".join(one["differences"])) for one in done["entries"]]
    print_table(("outcome", "resource", "name", "differs in"), rows)
    counts: dict[str, int] = {}
    for of_resource in done["statistics"].values():
        for outcome, count in of_resource.items():
            counts[outcome] = counts.get(outcome, 0) + count
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "nothing in it"
    tried = " Nothing was written: this was a dry run." if done["is_dry_run"] else ""
    print(f"{done['name']} {done['version']}: {told}.{tried}")
    if counts.get("kept"):
        print("What was kept differs from the package; --force makes it as the package says.")
    for provider in done["without_key"]:
        print(f"The provider {provider!r} needs an API key: llm-manager providers change {provider} --api-key-prompt")
