"""Plays every recording through the running product and writes the table in docs/fidelity.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "fidelity.md"
MARK = "<!-- written by `make fidelity`; everything below is -->\n"
TESTS = ("tests/integration/test_recordings.py", "tests/integration/test_cross_dialect.py")
OWN = "own dialect"
Results = dict[tuple[str, str], dict[str, dict[str, list[str]]]]


def main() -> int:
    """Run the tests that play recordings, then write the page; returns pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LLM_MANAGER_FIDELITY_RESULTS": folder}
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-rN", "--tb=no", *TESTS]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        results = _read(Path(folder))
    if not results:
        print("No results: the recordings are absent, or the product did not start; see above.")
        return code or 1
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(MARK) + len(MARK)] + _rendered(results))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return code


def _read(folder: Path) -> Results:
    """Return problems by provider and operation, client dialect and recording."""
    results: Results = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("*.json")):
        for client, provider, operation, recording, problems in json.loads(path.read_text()):
            found = results[provider, operation][client].setdefault(recording, [])
            found.extend(problem for problem in problems if problem not in found)
    return results


def _rendered(results: Results) -> str:
    clients = sorted({client for cells in results.values() for client in cells} - {OWN})
    columns = [OWN, *clients]
    lines = ["", f"| provider | operation | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    sums: dict[str, list[int]] = {column: [0, 0] for column in columns}
    for (provider, operation), cells in sorted(results.items()):
        row = [_cell(cells.get(column), sums[column]) for column in columns]
        lines.append(f"| {provider} | {operation} | {' | '.join(row)} |")
    lines.append("| all | | " + " | ".join(f"{passed}/{total}" for passed, total in sums.values()) + " |")
    lines += ["", "## What did not pass", ""]
    failures = [
        f"- {client}: `{recording}`: {'; '.join(problems)[:400]}"
        for _, cells in sorted(results.items())
        for client, recordings in sorted(cells.items())
        for recording, problems in sorted(recordings.items())
        if problems
    ]
    return "\n".join([*lines, *(failures or ["Nothing."])]) + "\n"


def _cell(recordings: dict[str, list[str]] | None, total: list[int]) -> str:
    if recordings is None:
        return ""
    passed = sum(not problems for problems in recordings.values())
    total[0] += passed
    total[1] += len(recordings)
    return f"{passed}/{len(recordings)}"


if __name__ == "__main__":
    sys.exit(main())
