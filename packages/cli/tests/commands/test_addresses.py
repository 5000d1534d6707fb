"""What `doctor` hears at the addresses of providers, from real servers on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import pytest

from llm_manager.cli.commands import addresses, preflight
from llm_manager.cli.commands.finding import Finding
from llm_manager.cli.data_dir import DataDir

Seen = list[tuple[str, str | None]]


@contextmanager
def _server(status: int, *, location: str = "", body: bytes = b"{}") -> Generator[tuple[str, Seen]]:
    seen: Seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("authorization")))
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_base_url_that_answers_with_a_redirect_fails_and_is_not_followed(status: int, data: DataDir) -> None:
    with (
        _server(200) as (elsewhere, followed),
        _server(status, location=f"{elsewhere}/v2?key=sk-canary") as (url, seen),
    ):
        finding = addresses.providers(data, {"OPENAI_BASE_URL": f"{url}/v1/", "OPENAI_API_KEY": "sk-canary"})
    assert (finding.state, finding.detail) == (
        "failed",
        f"OPENAI_BASE_URL answers with a redirect ({status}) to {elsewhere}",
    )
    assert (seen, followed) == ([("/v1/models", None)], [])


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_every_other_answer_is_fine(status: int, data: DataDir) -> None:
    with _server(status) as (url, _):
        finding = addresses.providers(data, {"GROQ_BASE_URL": url, "OTHER_BASE_URL": url})
    assert finding == Finding("Provider addresses", "ok", "GROQ_BASE_URL: answered")


def test_servers_that_are_not_there_or_say_nothing_are_named(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "DEADLINE_SECONDS", 0.3)
    with socket.socket() as silent, socket.socket() as closed:
        for each in (silent, closed):
            each.bind(("127.0.0.1", 0))
        silent.listen()
        urls = {
            "GROQ_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "MISTRAL_BASE_URL": "no url, which another look tells",
        }
        finding = addresses.providers(data, urls)
    assert (finding.state, finding.detail) == (
        "warning",
        "no answer within 0.3 s from GROQ_BASE_URL, OPENAI_BASE_URL",
    )


def _own_ollama(data: DataDir, url: str) -> None:
    data.provider_facts.mkdir(exist_ok=True)
    ours = (files("llm_manager.core") / "provider_facts" / "ollama.toml").read_text("utf-8")
    text = ours.replace("http://127.0.0.1:11434", url)
    assert text != ours
    (data.provider_facts / "ollama.toml").write_text(text)


@pytest.mark.parametrize(
    ("body", "models"),
    [(b'{"models":[{"model":"a"},{"model":"b"}]}', ", 2 models"), (b'{"models":[1]}', ", 1 model"), (b"<p>", "")],
)
def test_an_ollama_of_this_machine_is_found(body: bytes, models: str, data: DataDir) -> None:
    with _server(200, body=body) as (url, seen):
        _own_ollama(data, url)
        assert addresses.local(data, {}) == Finding("Local servers", "ok", f"Ollama at {url}{models}")
        assert addresses.local(data, {"OLLAMA_BASE_URL": "http://x"}).detail == "none"
    assert seen == [("/api/tags", None)]
    assert addresses.local(data, {}) == Finding("Local servers", "ok", "none")


def test_a_start_asks_nobody(data: DataDir) -> None:
    with _server(302, location="/elsewhere") as (url, seen):
        _own_ollama(data, url)
        preflight.refuse(data, {"OPENAI_BASE_URL": url}, port=0)
    assert seen == []
