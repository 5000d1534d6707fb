# ruff: noqa: T201 - a command that people run
"""Which rows of the specification are proven, by which tests.

requirement_ledger.py          print the ledger
requirement_ledger.py --write  and record the proven rows in tests/meta/requirements.txt
requirement_ledger.py --check  fail when the record is not what the tests carry
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RECORD = ROOT / "tests" / "meta" / "requirements.txt"
SPEC = ROOT.parent / "shared" / "spec"
_ROW = re.compile(r"^\| ([SB]\d+|[LPBT]-\d+) \| (.+)$")


def proven(root: Path = ROOT) -> dict[str, list[str]]:
    """Return every row that a test carries, with the places of the tests."""
    rows: dict[str, list[str]] = {}
    for folder in ("packages", "services", "tests"):
        for file in sorted((root / folder).rglob("test_*.py")):
            for row, line in marks(file.read_text()):
                rows.setdefault(row, []).append(f"{file.relative_to(root)}:{line}")
    return {row: rows[row] for row in sorted(rows, key=natural)}


def specified(spec: Path = SPEC) -> dict[str, str]:
    """Return every row of the specification with its text; empty where shared/ does not lie beside the repository."""
    rows: dict[str, str] = {}
    for name in ("features.md", "known-failures.md"):
        if (spec / name).exists():
            for line in (spec / name).read_text().splitlines():
                if match := _ROW.match(line):
                    rows[match[1]] = match[2].strip(" |")
    return rows


def recorded() -> list[str]:
    """Return the rows of the record."""
    return [row for row in RECORD.read_text().splitlines() if row and not row.startswith("#")]


def natural(row: str) -> tuple[str, int]:
    """Sort S2 before S10."""
    return re.sub(r"\d", "", row), int(re.sub(r"\D", "", row))


def marks(source: str) -> Iterator[tuple[str, int]]:
    if "requirement" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "requirement":
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, node.lineno


def _print(rows: dict[str, list[str]]) -> None:
    known = specified()
    for row, places in rows.items():
        print(f"{row:<6} {len(places):>2} test(s), first {places[0]}")
    open_rows = sorted(set(known) - set(rows), key=natural)
    of = f" of {len(known)}" if known else ""
    print(f"\n{len(rows)}{of} rows are proven by tests.")
    if open_rows:
        print(f"Not proven yet: {' '.join(open_rows)}")


def main() -> int:
    """Print, write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    rows = proven()
    _print(rows)
    if options.write:
        head = "# Rows of the specification that tests prove. May only grow. Written by `make requirements`.\n"
        RECORD.write_text(head + "".join(f"{row}\n" for row in rows))
    if options.check:
        lost, new = set(recorded()) - set(rows), set(rows) - set(recorded())
        if lost or new:
            print(f"No longer proven: {sorted(lost, key=natural)}; not recorded yet: {sorted(new, key=natural)}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
