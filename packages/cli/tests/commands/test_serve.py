"""What a service process holds is what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from llm_manager.cli.commands import serve
serve._load(serve.find(sys.argv[1]))
print([name for name in ("aiohttp", "numpy", "pandas", "pyarrow", "pygments", "rich") if name in sys.modules])
# they are there again for those who need them: the pages of operations are aiohttp's
import aiohttp, rich
"""


@pytest.mark.parametrize("service", ["gateway", "providers", "usage"])
def test_a_service_loads_nothing_that_only_its_libraries_would_like(service: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, service], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
