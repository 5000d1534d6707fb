"""Free ports, kept for one stack while it runs, so that stacks that start at the same time do not meet."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

# Below 32,768, where Linux begins to give ports to outgoing connections (net.ipv4.ip_local_port_range): one of
# those could sit on the port of a child that died, and keep it from starting again.
_INTERNAL = range(21_000, 30_000)


class NoFreePortError(Exception):
    """Every port that was tried is taken."""


class PortKeeper:
    """Takes ports that nobody listens on and no other stack of this user has taken.

    A port is kept by a lock on a file, so that it is given back when the process ends, however it ends.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"llm-manager-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._locks: dict[int, int] = {}

    def take(self, candidates: Iterable[int], *, host: str = "127.0.0.1") -> int:
        """Return the first candidate that is free, and keep it.

        Raises:
            NoFreePortError: none is free.
        """
        for port in candidates:
            if 0 < port < 65_536 and port not in self._locks and self._keep(port):
                if is_free(port, host=host):
                    return port
                os.close(self._locks.pop(port))
        raise NoFreePortError("No free port was found: stop a program that listens, or choose a port with --port.")

    def take_internal(self, seed: str) -> int:
        """Keep a port of the range for processes that only talk to each other; the seed says where to look first."""
        start = sum(seed.encode()) * 97 % len(_INTERNAL)
        return self.take(_INTERNAL[(start + step) % len(_INTERNAL)] for step in range(len(_INTERNAL)))

    def close(self) -> None:
        """Give all ports back."""
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()

    def _keep(self, port: int) -> bool:
        lock = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._locks[port] = lock
        return True


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
