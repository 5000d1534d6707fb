from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.requirement("S210")
def test_ci_runs_the_checks_and_the_tests_with_coverage_on_real_parts() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make (\w+)", script, re.MULTILINE) == ["check", "test"]
    assert "LLM_MANAGER_REQUIRE_REAL_PARTS=1" in script
    least = re.findall(r"--fail-under=(\d+)", MAKEFILE)
    assert least
    assert min(int(percent) for percent in least) >= 85
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_help_lists_every_target_that_a_person_would_call() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    steps = {target for target in targets if target.startswith("check-")}
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [target for target in targets - steps if f"  {target} " not in shown] == []


@pytest.mark.parametrize(("required", "outcome"), [("1", "1 failed"), ("0", "1 skipped")])
def test_a_skip_is_a_failure_where_real_parts_are_required(tmp_path: Path, required: str, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it():\n    pytest.skip('get it by magic')\n")
    # no plugins: they take a second to load and have no part in this
    environ = os.environ | {"LLM_MANAGER_REQUIRE_REAL_PARTS": required, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert outcome in done.stdout
    assert "get it by magic" in done.stdout
