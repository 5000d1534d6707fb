from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text()


def test_lock_names_no_registry() -> None:
    assert re.findall(r"https?://\S+|^\s*--(?:index|extra|find|trusted)\S*", LOCK, re.MULTILINE) == []


def test_every_locked_package_is_pinned_and_has_hashes() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    loose = [entry.splitlines()[0] for entry in entries if not re.match(r"[^\n]+==[^\n]+\n\s+--hash=sha256:", entry)]
    assert loose == []


def test_lock_holds_every_dependency_that_the_workspace_names() -> None:
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", LOCK, re.MULTILINE)}
    named: set[str] = set()
    for file in [
        ROOT / "pyproject.toml",
        *ROOT.glob("packages/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
    ]:
        named |= {_normal(re.split(r"[\[<>=~!; ]", dependency)[0]) for dependency in _dependencies(file)}
    own = {name for name in named if name.startswith("llm-manager-")}
    assert named - own - locked == set()


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _dependencies(file: Path) -> Iterator[str]:
    project = tomllib.loads(file.read_text())
    yield from project["project"].get("dependencies", [])
    for group in project.get("dependency-groups", {}).values():
        yield from group
    for extra in project["project"].get("optional-dependencies", {}).values():
        yield from extra
