"""What one look at the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at the machine."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""
