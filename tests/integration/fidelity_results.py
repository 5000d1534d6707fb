"""Keeps what was found about each recording for the table in docs/fidelity.md (`make fidelity`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

FOLDER_VARIABLE = "LLM_MANAGER_FIDELITY_RESULTS"
# client dialect, provider, operation, recording, problems
Finding = tuple[str, str, str, str, list[str]]


def keep(name: str, findings: Iterable[Finding]) -> None:
    """Write findings into the folder that the variable names; nothing where it names none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        Path(folder, f"{name}.json").write_text(json.dumps(list(findings)))
