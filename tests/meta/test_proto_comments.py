from __future__ import annotations

import re

from tree import ROOT, relative

_DECLARATION = re.compile(
    r"^\s*(?:message|enum|service|rpc|oneof)\s+\w+|^\s*(?:repeated |optional |map<)?[\w.<>, ]+\s+\w+\s*=\s*\d+;"
)


def test_every_message_field_and_rpc_has_a_comment() -> None:
    bare: list[str] = []
    for file in sorted((ROOT / "proto").rglob("*.proto")):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if _DECLARATION.match(line) and "//" not in line and not lines[number - 1].strip().startswith("//"):
                bare.append(f"{relative(file)}:{number + 1} {line.strip()}")
    assert bare == []
