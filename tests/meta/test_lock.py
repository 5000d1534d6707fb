from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree import ROOT

# the clients of examples/ are locked and installed apart, because some pin old versions of what the product uses
_APART = {"examples": ROOT / "examples/clients/requirements.lock"}
LOCKS = [ROOT / "requirements.lock", *_APART.values()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_lock_names_no_registry(lock: Path) -> None:
    assert re.findall(r"https?://\S+|^\s*--(?:index|extra|find|trusted)\S*", lock.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_every_locked_package_is_pinned_and_has_hashes(lock: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    loose = [entry.splitlines()[0] for entry in entries if not re.match(r"[^\n]+==[^\n]+\n\s+--hash=sha256:", entry)]
    assert loose == []


def test_the_locks_hold_every_dependency_that_the_workspace_names() -> None:
    named: dict[Path, set[str]] = {lock: set() for lock in LOCKS}
    for file in [
        ROOT / "pyproject.toml",
        *ROOT.glob("packages/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
    ]:
        for group, dependency in _dependencies(file):
            lock = _APART.get(group, ROOT / "requirements.lock")
            named[lock].add(_normal(re.split(r"[\[<>=~!; ]", dependency)[0]))
    missing = {
        lock: sorted(name for name in names - _locked(lock) if not name.startswith("llm-manager-"))
        for lock, names in named.items()
    }
    assert missing == {lock: [] for lock in LOCKS}


def _locked(lock: Path) -> set[str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", lock.read_text(), re.MULTILINE)
    return {_normal(name) for name in found}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _dependencies(file: Path) -> Iterator[tuple[str, str]]:
    """Yield every dependency with the group that it is in."""
    project = tomllib.loads(file.read_text())
    groups = {
        "": project["project"].get("dependencies", []),
        **project.get("dependency-groups", {}),
        **project["project"].get("optional-dependencies", {}),
    }
    for group, dependencies in groups.items():
        for dependency in dependencies:
            yield group, dependency
