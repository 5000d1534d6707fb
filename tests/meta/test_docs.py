from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

from llm_manager.core.errors import CODES

_EXECUTED = re.compile(r"<!-- executed: ([\w-]+) -->\n+```(bash|python)\n")


@pytest.mark.requirement("S42")
def test_generated_pages_are_what_the_code_says_and_a_changed_one_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "reference", tmp_path, dirs_exist_ok=True)
    changed = tmp_path / "contracts.md"
    changed.write_text(changed.read_text().replace("rpc", "call", 1))
    command = [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        1,
        "Not what the code says: docs/reference/contracts.md. Run 'make docs'.\n",
    )


@pytest.mark.requirement("S41")
def test_error_codes_are_stable_and_documented() -> None:
    # a client may depend on each of them; removing one is a breaking change
    assert {
        "budget_exceeded",
        "bus_unavailable",
        "cancelled",
        "conflict",
        "deadline_exceeded",
        "draining",
        "gateway_rate_limited",
        "internal_error",
        "invalid_api_key",
        "invalid_request",
        "method_not_allowed",
        "model_not_found",
        "no_worker",
        "not_found",
        "permission_denied",
        "provider_rate_limited",
        "request_too_large",
        "store_unavailable",
        "unknown_url",
        "unsupported_media_type",
        "unsupported_parameter",
        "upstream_credentials_exhausted",
        "upstream_protocol_error",
        "upstream_refused",
        "upstream_timeout",
        "upstream_unavailable",
        "upstream_unreachable",
        "worker_lost",
    } <= set(CODES)
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert [code for code in CODES if f"| `{code}` |" not in page] == []


def test_every_decision_is_listed_and_no_number_is_used_twice() -> None:
    files = sorted(file.name for file in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "adr" / "index.md").read_text()
    assert [name for name in files if f"({name})" not in index] == []
    assert len({name[:4] for name in files}) == len(files)


def test_executed_blocks_have_names_of_their_own() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [name for page in pages for name, _ in _EXECUTED.findall(page.read_text())]
    assert len(names) == len(set(names))
    assert {"first-request", "curl", "python", "docs-first-request", "usage-commands"} <= set(names)
