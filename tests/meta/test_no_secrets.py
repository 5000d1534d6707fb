from __future__ import annotations

import re

from tree import ROOT, relative, tracked

# Real keys have these forms; tests and docs use ones that are visibly made up.
_SECRET = re.compile(
    r"sk-ant-api03-[\w-]{40,}|sk-(?:proj-)?[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{40,}|AIza[\w-]{35}|ghp_[A-Za-z0-9]{36}"
    r"|AKIA[0-9A-Z]{16}|-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{60}"
)
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|Users|home)/[\w.-]+")
# named with a scheme: addresses of registries belong to the machine's settings, not into the repository
_REGISTRY = re.compile(
    r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|registry\.|crates|proxy\.golang|repo1?\.maven)[\w.-]*"
)
_BINARY = {".png", ".ico", ".woff2", ".gz", ".db", ".wav"}


_MADE_UP = re.compile(r"canary|example|fake|test|0123456789|abcdef|(.)\1{5}", re.IGNORECASE)


def _found(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for file in tracked():
        if file.suffix in _BINARY or file == ROOT / "tests" / "meta" / "test_no_secrets.py":
            continue
        text = file.read_text(errors="replace")
        for match in pattern.finditer(text):
            if not _MADE_UP.search(match[0]):
                found.append(f"{relative(file)}:{text.count(chr(10), 0, match.start()) + 1} {match[0][:12]}…")
    return found


def test_no_tracked_file_holds_a_secret() -> None:
    assert _found(_SECRET) == []


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    assert _found(_MACHINE_PATH) == []


def test_no_tracked_file_names_a_package_registry() -> None:
    assert _found(_REGISTRY) == []
