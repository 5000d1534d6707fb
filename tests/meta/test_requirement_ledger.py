from __future__ import annotations

import subprocess

import requirement_ledger as ledger
from tree import ROOT


def test_every_recorded_row_is_still_proven() -> None:
    assert sorted(set(ledger.recorded()) - set(ledger.proven())) == []


def test_tests_name_only_rows_that_the_specification_has() -> None:
    known = ledger.specified()
    # shared/ lies beside the repository where it is developed and in CI, and not in a clone elsewhere
    unknown = [row for row in ledger.proven() if row not in known] if known else []
    assert unknown == []


def test_record_has_not_shrunk_since_the_main_branch() -> None:
    command = ["git", "show", "main:tests/meta/requirements.txt"]
    before = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    rows = {row for row in before.splitlines() if row and not row.startswith("#")}
    assert rows - set(ledger.recorded()) == set()


def test_a_mark_is_read_from_the_syntax_tree_with_all_its_rows() -> None:
    source = '@pytest.mark.requirement("S1", "L-24")\ndef test_x():\n    assert True\n'
    assert list(ledger.marks(source)) == [("S1", 1), ("L-24", 1)]
