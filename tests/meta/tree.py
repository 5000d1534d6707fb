"""The files of the repository, as the house rules look at them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def tracked() -> tuple[Path, ...]:
    """Return every file that is, or would be, in the repository."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(ROOT / name for name in sorted(set(names)) if name and (ROOT / name).is_file())


def hand_written_python() -> list[Path]:
    """Return the Python files that people write: all but packages/contracts/src and the client's admin API."""
    packages = ROOT / "packages"
    generated = (packages / "contracts" / "src", packages / "client" / "src" / "llm_manager" / "client" / "admin")
    return [file for file in tracked() if file.suffix == ".py" and not any(map(file.is_relative_to, generated))]


def relative(file: Path) -> str:
    """Return the path below the repository's root."""
    return file.relative_to(ROOT).as_posix()
