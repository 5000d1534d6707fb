"""`llm-manager packages`: what is sent, what is told, and what becomes of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_gateway import Seen, as_json, serving

from llm_manager.cli.exit_codes import CommandError

_PACKAGE: dict[str, Any] = {"manifest": {"name": "p", "version": "2"}, "aliases": [{"name": "é", "configuration": "x"}]}
_DONE: dict[str, Any] = {
    "name": "p",
    "version": "2",
    "is_dry_run": True,
    "statistics": {
        "aliases": {"created": 1, "changed": 0, "kept": 0, "unchanged": 0},
        "providers": {"created": 1, "changed": 0, "kept": 1, "unchanged": 0},
    },
    "entries": [
        {"resource": "aliases", "name": "é", "outcome": "created", "differences": []},
        {"resource": "providers", "name": "mine", "outcome": "kept", "differences": ["base_url", "paths"]},
    ],
    "without_key": ["mine"],
}
_LISTED: dict[str, Any] = {
    "name": "openai-starter",
    "title": "OpenAI",
    "state": "outdated",
    "version": "2",
    "installed_version": "1",
    "installed_at": None,
    "description": "",
    "contents": {"providers": 1, "apps": 0, "configurations": 4},
}
_NOWHERE = "http://127.0.0.1:9"


def _call(invoke: Any, answers: dict[str, Any], *arguments: str, text: str | None = None) -> tuple[Any, list[Seen]]:
    with serving({path: (200, as_json(answer)) for path, answer in answers.items()}) as gateway:
        done = invoke("packages", *arguments, "--url", gateway.url, text=text)
    return done, gateway.seen


def test_packages_are_listed_with_what_they_hold(invoke: Any) -> None:
    shown, _ = _call(invoke, {"GET /api/v1/packages": {"data": [_LISTED]}}, "list")
    row = " ".join(shown.stdout.splitlines()[-1].split())
    assert row == "openai-starter outdated 2 1 1 providers, 4 configurations OpenAI"


@pytest.mark.parametrize(
    ("options", "query"),
    [((), ""), (("--dry-run",), "?dry_run=true"), (("--dry-run", "--force"), "?dry_run=true&force=true")],
    ids=["plain", "tried", "forced"],
)
def test_a_package_is_imported_from_a_file_or_standard_input(
    invoke: Any, tmp_path: Path, admin_header: str, options: tuple[str, ...], query: str
) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(_PACKAGE))
    answers = {"POST /api/v1/packages": _DONE}
    for done, seen in (
        _call(invoke, answers, "import", str(file), *options),
        _call(invoke, answers, "import", "-", *options, text=json.dumps(_PACKAGE)),
    ):
        assert seen == [Seen("POST", f"/api/v1/packages{query}", admin_header, _PACKAGE)]
        assert [line.split() for line in done.stdout.splitlines()][1:3] == [
            ["created", "aliases", "é"],
            ["kept", "providers", "mine", "base_url,", "paths"],
        ]
        assert done.stdout.endswith(
            "p 2: 2 created, 1 kept. Nothing was written: this was a dry run.\n"
            "What was kept differs from the package; --force makes it as the package says.\n"
            "The provider 'mine' needs an API key: llm-manager providers change mine --api-key-prompt\n"
        )


def test_one_that_comes_with_the_gateway_is_shown_and_installed(invoke: Any, admin_header: str) -> None:
    shown, _ = _call(invoke, {"GET /api/v1/packages/a": _PACKAGE}, "show", "a")
    assert json.loads(shown.stdout) == _PACKAGE
    done, seen = _call(invoke, {"POST /api/v1/packages/a/install": _DONE}, "install", "a", "--force", "--json")
    assert json.loads(done.stdout) == _DONE
    assert seen == [Seen("POST", "/api/v1/packages/a/install?force=true", admin_header, None)]


def test_what_is_here_is_written_to_a_file_or_standard_output(invoke: Any, tmp_path: Path) -> None:
    file, answers = tmp_path / "out.json", {"GET /api/v1/packages/export": _PACKAGE}
    said = ("--name", "p", "--version", "2", "--only", "aliases", "--only", "apps")
    done, seen = _call(invoke, answers, "export", str(file), *said)
    assert seen[0].path == "/api/v1/packages/export?name=p&version=2&resources=aliases&resources=apps"
    assert (json.loads(file.read_text()), done.stdout) == (_PACKAGE, f"Wrote 1 aliases to {file}.\n")
    assert "é" in file.read_text()
    done, _ = _call(invoke, answers, "export", "-")
    assert json.loads(done.stdout) == _PACKAGE
    refused, _ = _call(invoke, answers, "export", str(tmp_path / "none" / "x.json"))
    assert isinstance(refused.exception, CommandError)
    assert "No such file" in str(refused.exception)


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is no JSON"), ("[]", "holds no JSON object"), ("3", "holds no JSON object"), (None, "No such file")],
)
def test_a_file_that_is_no_package_is_refused_before_anybody_is_asked(
    invoke: Any, tmp_path: Path, content: str | None, says: str
) -> None:
    file = tmp_path / "p.json"
    if content is not None:
        file.write_text(content)
    refused = invoke("packages", "import", str(file), "--url", _NOWHERE)
    assert isinstance(refused.exception, CommandError)
    assert says in str(refused.exception)
