"""The code blocks of README and docs that say so are run, as a reader would run them, against the whole product."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_manager.testing.stack import Stack, running_stack

ROOT = Path(__file__).resolve().parent.parent.parent
_EXECUTED = re.compile(r"<!-- executed: ([\w-]+) -->\n+```(bash|python)\n(.*?)```", re.DOTALL)
_BLOCKS = {
    f"{page.name}: {name}": (language, code)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for name, language, code in _EXECUTED.findall(page.read_text())
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def documented(home: Path) -> Iterator[Stack]:
    with running_stack(home / ".local" / "share" / "llm-manager", environment={"HOME": str(home)}) as stack:
        yield stack


@pytest.mark.parametrize("block", _BLOCKS)
def test_block_runs_as_written(block: str, documented: Stack) -> None:
    language, code = _BLOCKS[block]
    # the pages say the default port; a test takes any free one
    code = code.replace("http://127.0.0.1:8080", documented.origin)
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=documented.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
