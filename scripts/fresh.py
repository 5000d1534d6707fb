#!/usr/bin/env python3
"""Prove the README to a stranger: a clone of HEAD, an empty home, `make up`, the first request, `make test`.

Nothing of the caller is used but the commit: not the Python packages, not settings of the product, not provider keys.
Network and certificate settings stay. On success the commit id is written to .git/fresh. Runs on a bare Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_UP_SECONDS = 600
# What a shell needs, and what reaching the network through proxies, mirrors and private certificates needs.
_KEPT = re.compile(
    r"^(PATH|LANG|LC_.*|TERM|TZ|TMPDIR|PIP_.*|UV_.*|SSL_.*|.*_proxy|.*_PROXY|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|GIT_SSL_.*|NODE_EXTRA_CA_CERTS|LLM_MANAGER_RECORDINGS)$"
)
_BLOCK = r"<!-- executed: {name} -->\n+```bash\n(.*?)```"


class FreshError(Exception):
    """Something that the README promises does not hold; the message says what."""


def clean_environment(home: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a stranger: an empty home, no Python, product or provider variables."""
    env = {key: value for key, value in environ.items() if _KEPT.match(key)}
    # an active virtual environment puts itself in front; a stranger has none
    entries = [entry for entry in env["PATH"].split(":") if not Path(entry, "..", "pyvenv.cfg").exists()]
    if environ.get("PYENV_ROOT"):
        env["PYENV_ROOT"] = environ["PYENV_ROOT"]  # without it the shims of pyenv find no Python in the empty home
    return env | {"HOME": str(home), "PATH": ":".join(entries)}


def block(readme: str, name: str, *, port: int) -> str:
    """Return a named block of the README, for the port on which the product really listens.

    Raises:
        FreshError: the README has none.
    """
    match = re.search(_BLOCK.format(name=name), readme, re.DOTALL)
    if match is None:
        raise FreshError(f"README.md has no bash block after '<!-- executed: {name} -->'.")
    return match[1].replace("127.0.0.1:8080", f"127.0.0.1:{port}")


def run(step: str, command: list[str], *, clone: Path, env: Mapping[str, str], seconds: float) -> str:
    """Run one step in the clone, show its output as it comes, and return it.

    Raises:
        FreshError: it failed or took too long.
    """
    print(f"make fresh: {step}", flush=True)
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=clone,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    for line in process.stdout or ():
        sys.stdout.write(f"    {line}")
        said.append(line)
    if process.wait(timeout=seconds) != 0:
        raise FreshError(f"{step} ended with exit code {process.returncode}.")
    print(f"make fresh: {step} took {time.monotonic() - begun:.1f} s", flush=True)
    return "".join(said)


def prove(clone: Path, env: Mapping[str, str]) -> None:
    """Do in the clone what the README tells a stranger to do.

    Raises:
        FreshError: a step failed, or the first request got no answer.
    """
    llm_manager = str(clone / ".venv/bin/llm-manager")
    try:
        run("make up", ["make", "up", "DETACH=1"], clone=clone, env=env, seconds=_UP_SECONDS)
        ask = [llm_manager, "status", "--json"]
        status = json.loads(subprocess.run(ask, env=dict(env), capture_output=True, check=True).stdout)
        port = int(status["base_url"].rsplit(":", 1)[1].split("/")[0])
        readme = (clone / "README.md").read_text()
        requests = ["first-request", "curl"] if shutil.which("curl") else ["first-request"]
        for name in requests:
            command = ["bash", "-euo", "pipefail", "-c", block(readme, name, port=port)]
            if not run(f"the README's block '{name}'", command, clone=clone, env=env, seconds=60).strip():
                raise FreshError(f"the README's block '{name}' printed no answer.")
        run("make up again", ["make", "up", "DETACH=1"], clone=clone, env=env, seconds=60)
        run("make test", ["make", "test"], clone=clone, env=env, seconds=1_800)
    finally:
        subprocess.run(["make", "down"], cwd=clone, env=dict(env), check=False)


def _rev_parse(what: str) -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", what]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Prove HEAD and write .git/fresh; return the exit code."""
    head, git_dir = _rev_parse("HEAD"), _rev_parse("--absolute-git-dir")
    folder = Path(tempfile.mkdtemp(prefix="llm-manager-fresh-"))
    clone, home = folder / "clone", folder / "home"
    home.mkdir()
    env = clean_environment(home)
    if "LLM_MANAGER_RECORDINGS" not in env and (ROOT.parent / "shared" / "recordings").exists():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    try:
        run("git clone", ["git", "clone", "--quiet", str(ROOT), str(clone)], clone=folder, env=env, seconds=120)
        run("git checkout", ["git", "checkout", "--quiet", "--detach", head], clone=clone, env=env, seconds=60)
        prove(clone, env)
    except (FreshError, subprocess.SubprocessError) as error:
        print(f"make fresh: FAILED: {error}\n  The clone stays for a look: {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    Path(git_dir, "fresh").write_text(head + "\n")
    print(f"make fresh: passed for {head[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
