"""Installs peers into build/bench/ of the checkout, each once per pin."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from scripts.network import pip_settings, uv_environment

from bench.peers import NotInstallable

ROOT = Path(__file__).resolve().parent.parent.parent
UV = ROOT / ".venv/bin/uv"
BUILD = ROOT / "build/bench"
_TIMEOUT_SECONDS = 900
# the first such line names the cause with uv, npm and apt alike; the lines after it are advice
_CAUSE = re.compile(r"error|E: |cause|denied|not found|unable", re.IGNORECASE)


def installed(name: str, pin: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a peer, made when it is missing or of another pin; several processes may ask at once.

    Args:
        pin: all that the folder is made from; another text makes it again.
        make: fills the folder, which is empty. What it leaves when it fails is not used.
    """
    home = BUILD / name
    stamp = home / ".installed"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == pin:
            return home
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        make(home)
        stamp.write_text(pin)
    return home


def run(command: Sequence[str | Path], *, folder: Path, environ: Mapping[str, str] | None = None) -> None:
    """Run one step of an installation in its folder; what it says goes to install.log there.

    Raises:
        NotInstallable: the program is missing or failed.
    """
    log = folder / "install.log"
    done = _done(command, folder, environ)
    with log.open("a") as lines:
        lines.write(f"$ {' '.join(map(str, command))}\n{done.stdout}\n")
    if done.returncode:
        raise NotInstallable(f"{Path(command[0]).name} failed: {cause(done.stdout)} (more in {log}).")


def answer(program: Path, option: str) -> str:
    """Return what a program says about itself, on either output.

    Raises:
        NotInstallable: it cannot be run here.
    """
    done = _done([program, option], Path("/"), None)
    if done.returncode:
        raise NotInstallable(f"{program} cannot be run: {cause(done.stdout)}.")
    return done.stdout


def _done(
    command: Sequence[str | Path], folder: Path, environ: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise NotInstallable(f"{command[0]} cannot be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"{command[0]} took more than {_TIMEOUT_SECONDS} s.") from error


def cause(said: str) -> str:
    """Return the line that tells why a program failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _CAUSE.search(line)] or lines[-1:] or ["it said nothing"]
    return telling[0].rstrip(".")[:300]


@cache
def uv_settings() -> Mapping[str, str]:
    """Return the environment in which uv reaches what pip reaches."""
    pythons = [ROOT / ".bootstrap/env/bin/python", sys.executable]
    return uv_environment(os.environ, pip_settings(pythons, os.environ))
