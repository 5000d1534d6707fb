"""Children end with their supervisor, also when it is killed: each holds one end of a pipe and sees it close.

A pipe works on every system and needs no cooperation of the one that dies. `serve` watches it from a thread, asks its
own process to drain when it closes, and ends the process when draining takes too long.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping

ENVIRONMENT_KEY = "LLM_MANAGER_LIFELINE_FD"
_LEAST_HARD_LIMIT_SECONDS = 40.0


def hard_limit(drain_seconds: float) -> float:
    """Return the time after which a service that has lost its supervisor is gone; longer than its drain."""
    return max(_LEAST_HARD_LIMIT_SECONDS, drain_seconds + 15.0)


def watch(environ: Mapping[str, str], *, hard_limit_seconds: float = _LEAST_HARD_LIMIT_SECONDS) -> bool:
    """Drain this process when the supervisor is gone; return False when no supervisor gave a pipe."""
    text = environ.get(ENVIRONMENT_KEY, "")
    if not text.isdecimal():
        return False
    thread = threading.Thread(target=_wait, args=(int(text), hard_limit_seconds), name="lifeline", daemon=True)
    thread.start()
    return True


def _wait(descriptor: int, hard_limit_seconds: float) -> None:
    try:
        while os.read(descriptor, 64):
            pass  # nobody writes; reading is how the end is seen
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(hard_limit_seconds)
    os._exit(1)
