from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tree import ROOT

_FACTS = sorted((ROOT / "packages" / "core" / "src" / "llm_manager" / "core" / "provider_facts").glob("*.toml"))
_DATE = re.compile(r"20\d\d-\d\d-\d\d")


def _flat(value: object) -> str:
    return str(value)


def test_there_are_facts() -> None:
    assert [file.stem for file in _FACTS] != []


def test_every_facts_file_names_its_source_and_the_day_it_was_checked() -> None:
    def lacks(file: Path) -> list[str]:
        facts = tomllib.loads(file.read_text())
        named = {key: _flat(value) for key, value in facts.items()}
        has_source = bool(named.get("source") or named.get("sources"))
        has_date = any(_DATE.search(named.get(key, "")) for key in ("checked", "checked_on", "source", "sources"))
        return [what for what, there in (("source", has_source), ("date", has_date)) if not there]

    assert {file.name: lacks(file) for file in _FACTS if lacks(file)} == {}
