"""A gateway that says what a test wants, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    authorization: str
    body: Any


@dataclass
class FakeGateway:
    """Keeps what it saw."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list[Seen])


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def events(*data: str) -> bytes:
    return "".join(f": heartbeat\n\ndata: {one}\n\n" for one in data).encode()


def _sorted(asked: str) -> str:
    path, mark, query = asked.partition("?")
    return path + mark + "&".join(sorted(query.split("&")))


@contextmanager
def serving(answers: dict[str, tuple[int, bytes]]) -> Generator[FakeGateway]:
    """Answer by method and path, and by the query where one is said; its fields may come in any order."""
    gateway = FakeGateway()
    by_query = {_sorted(asked): answer for asked, answer in answers.items()}

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            gateway.seen.append(Seen(self.command, self.path, self.headers.get("Authorization", ""), body))
            asked = f"{self.command} {self.path}"
            status, payload = by_query.get(_sorted(asked)) or by_query[asked.partition("?")[0]]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - names that http.server looks for

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing about requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
