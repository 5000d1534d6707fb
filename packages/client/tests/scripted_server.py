"""A real HTTP server that answers what a test wrote, and tells when a client went away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[BaseHTTPRequestHandler], None]
CHAT: dict[str, Any] = {
    "model": "m-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.1},
}


@dataclass
class Seen:
    """One request as it came in; names of headers are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers by its scripts in turn, the last one for all that follow."""

    scripts: list[Script]
    url: str = ""
    seen: list[Seen] = field(default_factory=list[Seen])
    is_asked: threading.Event = field(default_factory=threading.Event)
    client_left: threading.Event = field(default_factory=threading.Event)


def answer(status: int = 200, body: Any = None, **headers: str) -> Script:
    """Answer with JSON, or with bytes as they are; `_` in names of headers is `-`."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        handler.send_response(status)
        said = {"content-type": "application/json", "x-request-id": "r-1", "content-length": str(len(payload))}
        for name, value in {**said, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(payload)

    return script


def refusal(status: int, code: str = "some_code", **headers: str) -> Script:
    """Refuse in the shape of the platform."""
    error = {"message": "No.", "type": "t", "param": "p", "code": code}
    return answer(status, {"error": error}, **headers)


def stream(*pieces: bytes, then: Script | None = None, headers: dict[str, str] | None = None) -> Script:
    """Send events as bytes and close, or go on with a script."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        said = {"content-type": "text/event-stream", "x-request-id": "r-1", "connection": "close"}
        for name, value in {
            **said,
            **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
        if then is not None:
            then(handler)

    return script


def event(value: Any) -> bytes:
    """Write one event."""
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


@contextmanager
def serving(*scripts: Script) -> Generator[Server]:
    """Serve on a free port while entered."""
    server = Server(list(scripts))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append(Seen(self.command, self.path, headers, json.loads(raw) if raw else None))
            server.is_asked.set()
            script = server.scripts.pop(0) if len(server.scripts) > 1 else server.scripts[0]
            try:
                script(self)
            except OSError:
                server.client_left.set()
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - names that http.server looks for

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing about requests."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing about clients that went away."""

    listener = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    server.url = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def until_left(handler: BaseHTTPRequestHandler) -> None:
    """Send heartbeats until the client goes away, for ten seconds at most."""
    pause = threading.Event()
    for _ in range(500):
        handler.wfile.write(b": ping\n\n")
        pause.wait(0.02)


def silent_until_left(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing at all until the client goes away, for ten seconds at most."""
    handler.connection.settimeout(10)
    if not handler.connection.recv(1):
        raise ConnectionResetError
