#!/usr/bin/env python3
"""Bring .venv to exactly what requirements.lock and the workspace say. Does nothing when nothing has changed.

With the argument `run` only what runs the product is installed: half of the locked packages are tools and clients for
tests. Where everything is installed, everything stays.

Runs on a bare Python 3.11 or newer: uv is installed from the lock, hash-checked, into .bootstrap/ first. `make setup`
calls it. Network and certificate settings of pip and uv are honoured (scripts/network.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parent))

from network import pip_settings, uv_environment

ROOT = Path(__file__).resolve().parent.parent
BOOTSTRAP, VENV, LOCK = ROOT / ".bootstrap", ROOT / ".venv", ROOT / "requirements.lock"
STAMP = VENV / ".installed"
# for development only; its dependencies and those of the group `dev` do not run the product
_TESTING = "testing"
# The dependencies that the workspace itself has: what builds the others.
_WORKSPACE = "llm-manager-workspace (pyproject.toml)"
Scope = Literal["run", "all"]

_REMEDIES = (
    (r"certificate|SSL|TLS|UnknownIssuer", "name your certificates: export SSL_CERT_FILE=/path/to/ca.pem"),
    (r"hash|digest", "a download differs from requirements.lock: the mirror is stale or was tampered with"),
    (r"No space left", "free some disk: about 2 GB are needed for all, 1 GB for `make up`"),
    (r"Permission denied|Read-only", "make this folder and your home writable"),
    (
        r"onnect|resolve|timed out|dns|[Nn]etwork|[Pp]roxy|fetch",
        "check the connection; PIP_INDEX_URL, UV_DEFAULT_INDEX and HTTPS_PROXY are honoured",
    ),
)


class StepError(Exception):
    """A step failed; the message names it, shows what was said, and says what to do."""


def run(step: str, command: Sequence[str | Path], *, environ: Mapping[str, str]) -> None:
    """Run one slow step: a progress line, and silence unless it fails.

    Raises:
        StepError: the command failed.
    """
    print(f"  {step} …", end="", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        print(f" {time.monotonic() - begun:.1f} s", flush=True)
        return
    print(" failed", flush=True)
    said = (done.stdout + done.stderr).strip()
    remedies = [remedy for pattern, remedy in _REMEDIES if re.search(pattern, said)]
    shown = "\n".join(f"    {line}" for line in said.splitlines()[-25:])
    raise StepError(f"{step}: failed\n{shown}\n  What to do: {'; or '.join(remedies) or 'see the lines above'}.")


def wanted() -> str:
    """Return what the environment must have been made from: the lock and the workspace's metadata."""
    digest = hashlib.sha256()
    for file in [LOCK, *members(), Path(__file__)]:
        digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def members(scope: Scope = "all") -> list[Path]:
    """Return the pyproject.toml of every package and service."""
    found = sorted(ROOT.glob("packages/*/pyproject.toml")) + sorted(ROOT.glob("services/*/pyproject.toml"))
    return [file for file in found if scope == "all" or file.parent.name != _TESTING]


def running_lock() -> str:
    """Return the part of the lock that runs the product: what the packages and services need, and what that needs."""
    blocks = dict[str, str]()
    wanted_by = dict[str, set[str]]()
    for block in re.split(r"^(?=[A-Za-z0-9])", LOCK.read_text(), flags=re.MULTILINE)[1:]:
        name = re.split(r"[^\w.-]", block, maxsplit=1)[0]
        comments = re.findall(r"^ {4}# +(?:via\b *)?(.*)$", block, re.MULTILINE)
        blocks[name], wanted_by[name] = block, {comment for comment in comments if comment}
    needed = {_WORKSPACE} | {f"llm-manager-{file.parent.name}" for file in members("run")}
    while more := {name for name, by in wanted_by.items() if name not in needed and by & needed}:
        needed |= more
    return "".join(block for name, block in blocks.items() if name in needed)


def locked_uv() -> str:
    """Return uv's own lines of the lock: version and hashes."""
    block = re.search(r"^uv==[^\n]*(?:\n    --hash[^\n]*)+", LOCK.read_text(), re.MULTILINE)
    if block is None:
        raise StepError("requirements.lock does not pin uv: run 'make lock' on a machine that has it.")
    return block[0].rstrip("\\ ") + "\n"


def bootstrap_uv(environ: Mapping[str, str]) -> Path:
    """Return the pinned uv in .bootstrap/, installed when it is missing or another version."""
    uv, pin = BOOTSTRAP / "bin" / "uv", BOOTSTRAP / "uv.txt"
    wanted_uv = locked_uv()
    if uv.exists() and pin.exists() and pin.read_text() == wanted_uv:
        return uv
    ask = [sys.executable, "-I", "-c", "import ensurepip"]
    has_ensurepip = subprocess.run(ask, check=False, stderr=subprocess.DEVNULL).returncode == 0
    make = [sys.executable, "-I", "-m", "venv", "--clear", BOOTSTRAP / "env"]
    run("making .bootstrap", make if has_ensurepip else [*make, "--without-pip"], environ=environ)
    requirements = BOOTSTRAP / "uv.requirements"
    requirements.write_text(wanted_uv)
    pip: list[str | Path] = [BOOTSTRAP / "env/bin/python", "-m", "pip"]
    if not has_ensurepip:
        pip = [sys.executable, "-m", "pip", "--python", BOOTSTRAP / "env/bin/python"]
    install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", requirements]
    run(f"downloading {wanted_uv.split(' ')[0]}", [*pip, *install], environ=environ)
    uv.parent.mkdir(exist_ok=True)
    uv.unlink(missing_ok=True)
    uv.symlink_to("../env/bin/uv")
    pin.write_text(wanted_uv)
    return uv


def install(scope: Scope, environ: Mapping[str, str]) -> None:
    """Make .venv what the lock and the workspace say."""
    is_more = STAMP.exists() and STAMP.read_text() == _stamp("run")
    uv = bootstrap_uv(environ)
    environ = uv_environment(environ, pip_settings([BOOTSTRAP / "env/bin/python", sys.executable], environ))
    STAMP.unlink(missing_ok=True)
    if not _has_working_python():
        run("making .venv", [uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV], environ=environ)
    python = VENV / "bin/python"
    # compiled now and not by the first start: also right for shells that set PYTHONDONTWRITEBYTECODE, where every start
    # would compile again
    lock = LOCK
    if scope == "run":
        lock = BOOTSTRAP / "run.lock"
        lock.write_text(running_lock())
    # under a product that runs nothing is taken away
    how = ["install", "--no-deps"] if is_more else ["sync"]
    locked = [uv, "pip", *how, "--compile-bytecode", "--python", python, "--require-hashes"]
    run(
        "installing the locked packages (downloads what uv's cache does not have)",
        [*locked, *(["-r"] if is_more else []), lock],
        environ=environ,
    )
    editable = [part for file in members(scope) for part in ("-e", str(file.parent))]
    build = [uv, "pip", "install", "--python", python, "--no-deps", "--no-build-isolation", *editable]
    run("installing the workspace", build, environ=environ)
    sources = [file.parent / "src" for file in members(scope)]
    run("compiling the workspace", [python, "-m", "compileall", "-q", *sources], environ=environ)
    STAMP.write_text(_stamp(scope))


def _has_working_python() -> bool:
    """Tell whether .venv has a Python that runs and is new enough.

    It may be another than the one that runs this: a second shell with another PATH must not make .venv again under a
    running product.
    """
    ask = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([VENV / "bin/python", "-I", "-c", ask], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _stamp(scope: Scope) -> str:
    return f"{scope} {wanted()}"


def main(arguments: Sequence[str]) -> int:
    """Install when something changed; return the exit code."""
    if list(arguments) not in ([], ["run"]):
        print("usage: install.py [run]", file=sys.stderr)
        return 2
    BOOTSTRAP.mkdir(exist_ok=True)
    with (BOOTSTRAP / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  another make is setting up this folder; waiting for it …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        held = STAMP.read_text() if STAMP.exists() else ""
        scope: Scope = "run" if arguments and (not held or held.startswith("run ")) else "all"
        if held in (_stamp("all"), _stamp(scope)) and _has_working_python():
            return 0
        try:
            install(scope, os.environ)
        except StepError as error:
            print(f"make setup: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
