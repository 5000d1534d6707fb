#!/usr/bin/env python3
"""Bring .venv-examples to what examples/clients/requirements.lock says. Does nothing when nothing has changed.

The clients of the ecosystem get an environment of their own: some pin old versions of what the product uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from install import BOOTSTRAP, ROOT, StepError, bootstrap_uv, run
from network import pip_settings, uv_environment

VENV, LOCK = ROOT / ".venv-examples", ROOT / "examples/clients/requirements.lock"
STAMP = VENV / ".installed"


def main() -> int:
    """Install when something changed; return the exit code."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    BOOTSTRAP.mkdir(exist_ok=True)
    with (BOOTSTRAP / "examples.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text() == wanted:
            return 0
        try:
            uv = bootstrap_uv(os.environ)
            settings = pip_settings([BOOTSTRAP / "env/bin/python", sys.executable], os.environ)
            environ = uv_environment(os.environ, settings)
            make = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV]
            run("making .venv-examples", make, environ=environ)
            sync = [uv, "pip", "sync", "--compile-bytecode", "--python", VENV / "bin/python", "--require-hashes", LOCK]
            run("installing the clients of the examples", sync, environ=environ)
        except StepError as error:
            print(f"make examples: {error}", file=sys.stderr)
            return 1
        STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
