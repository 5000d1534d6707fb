"""Ends nats-server when the supervisor and every service are gone, and not before.

A service that drains after its supervisor was killed still publishes what was spent, so the bus must outlive it. Each
of them holds the write end of one pipe; a shell (1 MB resident) waits for its end and then stops nats-server.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

_WAIT_THEN_STOP = 'read -r _; kill -TERM "$0"'


class NatsGuard:
    """Watches one nats-server at a time. `held_open` is passed to every child that may still need the bus."""

    def __init__(self) -> None:
        self._read, self.held_open = os.pipe()
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int) -> None:
        """Guard this nats-server from now on."""
        self._end_shell()
        self._shell = subprocess.Popen(  # noqa: S603 a constant text and a number
            ["/bin/sh", "-c", _WAIT_THEN_STOP, str(pid)],
            stdin=self._read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Stop guarding; nats-server is stopped by whoever calls this."""
        self._end_shell()
        os.close(self._read)
        os.close(self.held_open)

    def _end_shell(self) -> None:
        if self._shell is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
            self._shell = None
