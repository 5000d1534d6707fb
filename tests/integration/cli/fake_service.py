"""A service as small as can be: answers /readyz, drains on SIGTERM. Brought in by an entry point, like a real one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Be ready, but for the reason that stands in the file FAKE_BUSY."""
        busy = Path(os.environ.get("FAKE_BUSY") or os.devnull)
        reason = busy.read_bytes() if busy.exists() else b""
        self.send_response(503 if reason else 200)
        self.end_headers()
        self.wfile.write(reason)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing about requests."""


def serve(name: str, port: int) -> int:
    """Serve until SIGTERM; note the start and the end in FAKE_JOURNAL, one line each."""
    journal = os.environ.get("FAKE_JOURNAL")
    fault = os.environ.get(f"FAKE_FAULT_{name.upper()}", "")
    if fault == "settings":
        print(f"LLM_MANAGER_{name.upper()}_COLOUR is unknown", file=sys.stderr)
        return 78
    if fault == "crash":
        print(f"{name}: no such table", file=sys.stderr)
        return 3
    server = HTTPServer(("127.0.0.1", port), _Ready)

    asked: list[int] = []

    def stop(number: int, frame: object) -> None:
        asked.append(number)
        if len(asked) > 1:
            os._exit(1)  # at once, as the real services do
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"{name} listens on {port}", file=sys.stderr, flush=True)
    server.serve_forever(poll_interval=0.02)
    if fault == "slow_drain":
        time.sleep(0.4)
    if fault == "drains_until_told":
        Path(os.environ["FAKE_DRAINING"]).touch()
        while not Path(os.environ["FAKE_FINISH"]).exists():
            time.sleep(0.02)
    if journal:
        with Path(journal).open("a") as out:
            out.write(f"{name} drained\n")
    return 0


def usage() -> int:
    return serve("usage", int(os.environ["LLM_MANAGER_USAGE_OPS_PORT"]))


def providers() -> int:
    return serve("providers", int(os.environ["LLM_MANAGER_PROVIDERS_OPS_PORT"]))


def gateway() -> int:
    return serve("gateway", int(os.environ["LLM_MANAGER_GATEWAY_OPS_PORT"]))


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], int(sys.argv[2])))
